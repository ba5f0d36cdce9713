"""Sidecars in real Pods: their ports are theirs, changes reach them in place, and neither their end nor the Pod's
takes an answer away."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.agents import PYTHON_VERSION
from e2e.kubectl import KubectlError
from e2e.namespace import Agent, Namespace
from e2e.place import Site
from e2e.providers import provider, serving
from e2e.sidecars import (
    RESTRICTED,
    ask,
    assisted,
    containers,
    kill,
    lives,
    python_agent,
    refresh,
    tool_states,
    wait_restarted,
)
from e2e.waiting import eventually

HERE = Path(__file__).parent
NEW_KEY = "sk-rotated-6b1e"
STORY = "once upon a time there was an agent that was told to end in the middle of its own story"
SQUATTER = """\
import errno, socket, time
for port in (8801, 8802):
    while socket.socket().connect_ex(("127.0.0.1", port)):
        time.sleep(0.1)
    try:
        socket.create_server(("127.0.0.1", port))
    except OSError as error:
        print(port, errno.errorcode[error.errno], flush=True)
"""


@pytest.fixture
def echo(site: Site, tmp_path: Path) -> Iterator[str]:
    """A provider that says which model was asked."""
    script = {"models": ["mock", "first", "second"], "replies": [{"text": "{model} heard {prompt}"}]}
    with serving(script, host=site.host, file=tmp_path / "echo.yaml") as url:
        yield url


@pytest.fixture
def storyteller(site: Site, tmp_path: Path) -> Iterator[str]:
    """A provider whose story takes nine seconds: longer than a busy machine needs to notice it and delete a Pod."""
    reply = {"text": STORY, "chunks": 12, "chunkDelaySeconds": 0.75}
    with serving({"replies": [reply]}, host=site.host, file=tmp_path / "story.yaml") as url:
        yield url


@pytest.mark.step4
def test_an_agent_that_takes_the_sidecars_ports_first_gets_none(restricted: Namespace, site: Site, echo: str) -> None:
    agent = python_agent(site, (HERE / "port_squatter.py").read_text())
    agent["environment"]["setup"] = [{"name": "squat", "command": ["python3", "-c", SQUATTER]}]
    port_squatter = restricted.create(
        "port-squatter",
        agent,
        llm={"providers": [provider("echo", echo)]},
        tools={"required": ["jq"]},
        security=RESTRICTED,
    )

    port_squatter.wait_phase("Running")

    log = port_squatter.log("initenv-setup")  # a setup command is there before the agent, and after the sidecars
    assert "8801 EADDRINUSE" in log
    assert "8802 EADDRINUSE" in log
    assert set(port_squatter.said().values()) == {"EADDRINUSE"}
    assert ask(port_squatter) == "mock heard ahoy"
    assert tool_states(port_squatter) == {"jq": "ready"}


@pytest.mark.step4
def test_a_rotated_secret_is_used_without_a_restart(restricted: Namespace, site: Site, tmp_path: Path) -> None:
    script = {"keys": [NEW_KEY], "replies": [{"text": "welcome"}]}
    with serving(script, host=site.host, file=tmp_path / "strict.yaml") as url:
        restricted.secret("key", {"api-key": "sk-former"})
        agent = assisted(restricted, site, provider("strict", url, secret="key"))
        before = lives(agent)
        with pytest.raises(KubectlError, match="HTTP Error 502"):
            ask(agent)

        restricted.secret("key", {"api-key": NEW_KEY})
        refresh(agent)

        assert eventually(lambda: answer(agent), what="the new key is used", explain=agent.explain) == "welcome"
        assert lives(agent) == before


@pytest.mark.step4
def test_changed_gateway_and_tools_are_used_without_a_restart(restricted: Namespace, site: Site, echo: str) -> None:
    agent = assisted(restricted, site, provider("echo", echo, model="first"), tools={"required": ["jq"]})
    assert ask(agent) == "first heard ahoy"
    before = lives(agent)

    changed = {"llm": {"providers": [provider("echo", echo, model="second")]}, "tools": {"optional": ["no-such-tool"]}}
    agent.patch({"spec": changed})
    eventually(lambda: "second" in config(agent), what="the ConfigMap has changed", explain=agent.explain)
    refresh(agent)

    told = eventually(lambda: "second" in (answer(agent) or ""), what="the gateway's change", explain=agent.explain)
    assert told
    eventually(lambda: "no-such-tool" in tool_states(agent), what="the tools' change", explain=agent.explain)
    assert lives(agent) == before


@pytest.mark.step4
def test_killed_sidecars_come_back_and_the_agent_goes_on(restricted: Namespace, site: Site, echo: str) -> None:
    agent = assisted(restricted, site, provider("echo", echo), tools={"required": ["jq"]})
    before = lives(agent)["agent"]

    kill(site, agent, "llmgateway")
    kill(site, agent, "toolproxy")

    wait_restarted(agent, "llmgateway")
    wait_restarted(agent, "toolproxy")
    assert ask(agent) == "mock heard ahoy"
    assert tool_states(agent) == {"jq": "ready"}
    assert lives(agent)["agent"] == before
    agent.wait_phase("Running")
    agent.wait_condition("GatewayReady", "True", "Ready")


@pytest.mark.step4
def test_a_job_succeeds_and_its_sidecars_leave(restricted: Namespace, site: Site, echo: str) -> None:
    code = "import sys; sys.path.insert(0, '/shared'); import model_client; print(model_client.ask('ahoy')[0])"
    job = restricted.create(
        "errand",
        python_agent(site, code),
        workload={"kind": "Job", "backoffLimit": 0},
        llm={"providers": [provider("echo", echo)]},
        tools={"required": ["jq"]},
        security=RESTRICTED,
    )

    job.wait_phase("Succeeded")

    assert job.log() == "mock heard ahoy\n"
    ended = {name: one["state"].get("terminated", {}).get("exitCode") for name, one in containers(job).items()}
    assert ended == {"initenv": 0, "toolproxy": 0, "llmgateway": 0, "agent": 0}


@pytest.mark.step4
def test_a_stream_ends_well_when_its_pod_is_deleted(restricted: Namespace, site: Site, storyteller: str) -> None:
    image = site.images.python.format(version=PYTHON_VERSION)
    code = (HERE / "streamer.py").read_text()
    agent = restricted.create(
        "reader",
        {"image": image, "command": ["python", "-c", code]},
        llm={"providers": [provider("storyteller", storyteller)]},
        security=RESTRICTED,
    )
    eventually(lambda: started(agent), what="the stream has begun", explain=agent.explain)
    place = ("-n", restricted.name, agent.pod()["metadata"]["name"])

    with site.kubectl.follow("logs", "-f", *place, "-c", "agent") as log:
        site.kubectl.run("delete", "pod", *place, "--grace-period=20", "--wait=false")
        said = read_to_end(log)

    end = json.loads(said.splitlines()[-1])
    assert (end["text"], end["finish"], end["done"]) == (STORY, "stop", True)
    assert 0 < end["toldAt"] < end["of"]  # it was told to end in the middle


def started(agent: Agent) -> bool:
    """Whether the stream has begun."""
    try:
        return "started" in agent.log()
    except (KubectlError, AssertionError):  # there is no Pod yet, or it has no log
        return False


def read_to_end(log: "subprocess.Popen[str]") -> str:
    """All that is said until the container has ended."""
    said, _ = log.communicate(timeout=60)
    return said


def answer(agent: Agent) -> str | None:
    """What a model answers, None when none does."""
    try:
        return ask(agent)
    except KubectlError:
        return None


def config(agent: Agent) -> str:
    """The ConfigMap that the sidecars read."""
    return str(
        agent.namespace.kubectl.list("configmaps", agent.namespace.name, f"agents.example.com/agent={agent.name}")
    )
