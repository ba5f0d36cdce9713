"""The plan's step 3 with real Pods: the tool sidecar, the way to it, and the tools it finds."""

from pathlib import Path

import pytest
from e2e.agents import PYTHON_VERSION
from e2e.place import Site
from e2e.toolhand import WORD
from e2e.yard import Agent, Yard

pytestmark = pytest.mark.step3

TOOLHAND = (Path(__file__).parent / "toolhand.py").read_text()


@pytest.fixture(scope="module")
def toolhand(harbour: Yard, site: Site) -> Agent:
    """An agent with a required tool and an optional one that is nowhere."""
    image = site.images.python.format(version=PYTHON_VERSION)
    agent = {"image": image, "command": ["python", "-c", TOOLHAND]}
    tools = {"required": ["jq"], "optional": ["no-such-tool"]}
    made = harbour.create("toolhand", agent, tools=tools, security={"profile": "restricted"})
    made.wait_phase("Running")
    return made


def test_should_create_sidecar_container(toolhand: Agent) -> None:
    pod = toolhand.pod()

    (sidecar,) = pod["status"]["initContainerStatuses"]
    (main,) = pod["status"]["containerStatuses"]
    assert (sidecar["name"], main["name"]) == ("toolproxy", "agent")
    assert "running" in sidecar["state"]
    assert sidecar["ready"]
    assert pod["spec"]["initContainers"][0]["restartPolicy"] == "Always"


def test_should_enable_main_sidecar_communication(toolhand: Agent) -> None:
    said = toolhand.said()

    assert said["rest"]["structuredContent"]["stdout"] == f'"{WORD}"\n'
    assert said["rest"]["content"] == said["mcp"]["result"]["content"]


def test_should_discover_tool(toolhand: Agent) -> None:
    tools = {tool["name"]: tool for tool in toolhand.said()["tools"]["tools"]}

    assert tools["jq"]["state"] == "ready"
    assert tools["no-such-tool"]["state"] == "failed"
    condition = toolhand.wait_condition("ToolsReady", "True", "Ready")
    assert "no-such-tool" in condition["message"]
    assert toolhand.status()["toolStatus"]["jq"]["state"] == "ready"


def test_should_stay_unready_without_a_required_tool(restricted: Yard, site: Site) -> None:
    image = site.images.python.format(version=PYTHON_VERSION)
    agent = {"image": image, "command": ["python", "-c", TOOLHAND]}
    made = restricted.create(
        "empty-handed", agent, tools={"required": ["no-such-tool"]}, security={"profile": "restricted"}
    )

    condition = made.wait_condition("ToolsReady", "False", "ToolFailed")

    assert "no-such-tool" in condition["message"]
    assert made.status()["phase"] != "Running"
    assert made.condition("Ready")["reason"] == "ToolFailed"
