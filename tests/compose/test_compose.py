import json
import subprocess

import pytest
from compose.conftest import Project
from compose.daemon import ROOT

CANARY = "sk-canary-4f1c9a77e2"


def agent_log(project: Project) -> str:
    code = project.docker.run("wait", project.container("agent")).strip()
    log = project.compose("logs", "--no-log-prefix", "agent")
    assert code == "0", f"{log}\n{project.compose('logs', '--tail=20')}"
    return log


def test_the_sample_agent_asks_a_model_calls_a_tool_and_remembers(project: Project) -> None:
    answer = "Wait for the flood: there is water over the bar from four o'clock."
    sealed = subprocess.run(
        ["git", "hash-object", "--stdin"], input=f"{answer}\n", capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()

    project.up()

    said = agent_log(project).splitlines()
    assert said == [f"offline: {answer}", f"sealed as {sealed}", "asked 1 times since the start"]

    project.compose("up", "--detach", "--no-build", "--pull", "never", "agent")

    assert agent_log(project).splitlines()[-1] == "asked 2 times since the start"


@pytest.mark.dotenv(ANTHROPIC_API_KEY=CANARY)
def test_a_key_in_dotenv_is_a_file_of_the_gateway_and_nothing_of_the_agent(project: Project) -> None:
    project.up()
    agent_log(project)

    (described,) = json.loads(project.docker.run("inspect", project.container("agent")))
    (gateway,) = json.loads(project.docker.run("inspect", project.container("llmgateway")))

    assert project.search_for_key("llmgateway", CANARY) == "['/etc/agentberth/credentials/anthropic/key']"
    assert project.search_as_agent(CANARY) == "[]"
    assert CANARY not in json.dumps(described)
    assert CANARY not in json.dumps(gateway)
    assert [mount["Destination"] for mount in gateway["Mounts"]] == ["/etc/agentberth/gateway"]


def test_the_containers_share_one_network_and_the_gateway_is_on_its_loopback_alone(project: Project) -> None:
    project.up()
    pod = project.container("pod")

    modes = {}
    for service in ("toolproxy", "llmgateway", "memory", "agent"):
        (described,) = json.loads(project.docker.run("inspect", project.container(service)))
        modes[service] = described["HostConfig"]["NetworkMode"]

    assert set(modes.values()) == {f"container:{pod}"}
