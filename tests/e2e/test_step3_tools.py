"""The plan's step 3 with real Pods: the tool sidecar, the way to it, and the tools it finds."""

from pathlib import Path

import pytest
from e2e.agents import PYTHON_VERSION
from e2e.namespace import Agent, Namespace
from e2e.place import Site
from e2e.sidecars import RESTRICTED, lives, python_agent
from e2e.tool_caller import WORD

pytestmark = pytest.mark.step3

GLUTTON = """\
import json, os, urllib.request
code = "held = []\\nwhile True: held.append(bytes(1 << 24))"
body = json.dumps({"arguments": {"args": ["-c", code]}}).encode()
request = urllib.request.Request(
    os.environ["TOOL_PROXY_URL"] + "/v1/tools/python:run", body, {"content-type": "application/json"}
)
print(json.load(urllib.request.urlopen(request, timeout=60))["structuredContent"]["stderr"])
"""
TOOL_CALLER = (Path(__file__).parent / "tool_caller.py").read_text()


@pytest.fixture(scope="module")
def tool_caller(harbour: Namespace, site: Site) -> Agent:
    """An agent with a required tool and an optional one that is nowhere."""
    image = site.images.python.format(version=PYTHON_VERSION)
    agent = {"image": image, "command": ["python", "-c", TOOL_CALLER]}
    tools = {"required": ["jq"], "optional": ["no-such-tool"]}
    made = harbour.create("tool-caller", agent, tools=tools, security={"profile": "restricted"})
    made.wait_phase("Running")
    return made


def test_should_create_sidecar_container(tool_caller: Agent) -> None:
    pod = tool_caller.pod()

    (sidecar,) = pod["status"]["initContainerStatuses"]
    (main,) = pod["status"]["containerStatuses"]
    assert (sidecar["name"], main["name"]) == ("toolproxy", "agent")
    assert "running" in sidecar["state"]
    assert sidecar["ready"]
    assert pod["spec"]["initContainers"][0]["restartPolicy"] == "Always"


def test_should_enable_main_sidecar_communication(tool_caller: Agent) -> None:
    said = tool_caller.said()

    assert said["rest"]["structuredContent"]["stdout"] == f'"{WORD}"\n'
    assert said["rest"]["content"] == said["mcp"]["result"]["content"]


def test_should_discover_tool(tool_caller: Agent) -> None:
    tools = {tool["name"]: tool for tool in tool_caller.said()["tools"]["tools"]}

    assert tools["jq"]["state"] == "ready"
    assert tools["no-such-tool"]["state"] == "failed"
    condition = tool_caller.wait_condition("ToolsReady", "True", "Ready")
    assert "no-such-tool" in condition["message"]
    assert tool_caller.status()["toolStatus"]["jq"]["state"] == "ready"


def test_should_stay_unready_without_a_required_tool(restricted: Namespace, site: Site) -> None:
    image = site.images.python.format(version=PYTHON_VERSION)
    agent = {"image": image, "command": ["python", "-c", TOOL_CALLER]}
    made = restricted.create(
        "empty-handed", agent, tools={"required": ["no-such-tool"]}, security={"profile": "restricted"}
    )

    condition = made.wait_condition("ToolsReady", "False", "ToolFailed")

    assert "no-such-tool" in condition["message"]
    assert made.status()["phase"] != "Running"
    assert made.condition("Ready")["reason"] == "ToolFailed"


def test_should_outlive_a_tool_that_takes_all_memory(restricted: Namespace, site: Site) -> None:
    """The kernel ends a container as a whole, so the tool has to meet a limit of its own before."""
    made = restricted.create("glutton", python_agent(site), tools={"required": ["python"]}, security=RESTRICTED)
    made.wait_phase("Running")
    before = lives(made)

    assert "MemoryError" in made.run("python", "-c", GLUTTON)

    assert lives(made) == before
    condition = made.wait_condition("SecurityPosture", "True", "Isolated")
    assert "Landlock" in condition["message"]
