"""The plan's step 4, its memory half, with real Pods: memories killed, paused, deleted, rotated, and what is left."""

import base64
import signal
from pathlib import Path
from typing import Any

import pytest
from e2e.agents import PYTHON_VERSION
from e2e.deployment import processes_of, send
from e2e.kubectl import Document, KubectlError
from e2e.namespace import Agent, Namespace
from e2e.place import Site
from e2e.sidecars import refresh_pod
from e2e.waiting import eventually

pytestmark = pytest.mark.step4

CALL = (Path(__file__).parent / "rediscall.py").read_text()
MOUNTED_S = 180
"""A kubelet that looks just before a Secret's change arrives shows it in a volume about a minute later."""
WAIT = "import signal; signal.signal(signal.SIGTERM, lambda *_: exit(0)); signal.pause()"


def keeper(namespace: Namespace, site: Site, **memory: Any) -> Agent:
    """An agent that waits, with a memory, and with a tool proxy that looks at it."""
    image = site.images.python.format(version=PYTHON_VERSION)
    agent = {"image": image, "command": ["python", "-c", WAIT]}
    memory = {"size": "16Mi", **memory}
    return namespace.create("keeper", agent, memory=memory, tools={}, security={"profile": "restricted"})


def agents_pod(agent: Agent) -> Document:
    """The agent's own Pod: the memory's has the same label."""
    living = [pod for pod in agent.pods() if "deletionTimestamp" not in pod["metadata"]]
    (found,) = [pod for pod in living if not _is_memory(pod)]
    return found


def _is_memory(pod: Document) -> bool:
    return bool(pod["metadata"]["labels"]["app.kubernetes.io/component"] == "memory")


def ask(agent: Agent, *words: str) -> str:
    """What the memory answers the agent; "" while it does not."""
    name = agents_pod(agent)["metadata"]["name"]
    place = ("-n", agent.namespace.name, name, "-c", "agent")
    try:
        return agent.namespace.kubectl.run("exec", *place, "--", "python", "-c", CALL, *words).strip()
    except KubectlError:
        return ""


def server(agent: Agent, container: str) -> Document:
    """The status of the container that is the memory."""
    statuses = [
        status
        for pod in agent.pods()
        for kind in ("initContainerStatuses", "containerStatuses")
        for status in pod["status"].get(kind, ())
        if status["name"] == container
    ]
    assert statuses, agent.explain()
    found: Document = statuses[0]
    return found


def signal_memory(agent: Agent, container: str, number: signal.Signals) -> None:
    """A signal for all processes of the memory, on the node of this machine."""
    send(number, processes_of(server(agent, container)["containerID"].rpartition("/")[2]))


@pytest.fixture
def on_this_machine(site: Site) -> None:
    """Signals are sent from here."""
    if not site.own:
        pytest.skip("the memory's processes are on another machine: KUBECONFIG is set")


def restarted(agent: Agent, container: str) -> bool:
    found = server(agent, container)
    return bool(found["restartCount"] == 1 and found["ready"])


@pytest.mark.usefixtures("on_this_machine")
def test_should_serve_an_inmemory_memory_and_go_on_when_it_is_killed(restricted: Namespace, site: Site) -> None:
    agent = keeper(restricted, site, type="inmemory")
    agent.wait_phase("Running")
    agent.wait_condition("MemoryReady", "True", "Ready")
    order = [container["name"] for container in agent.pod()["spec"]["initContainers"]]
    assert order == ["toolproxy", "memory"]
    assert ask(agent, "SET", "bearing", "north") == "+OK"
    assert ask(agent, "GET", "bearing") == "north"
    before = agent.pod()["metadata"]["uid"]

    signal_memory(agent, "memory", signal.SIGKILL)

    eventually(lambda: restarted(agent, "memory"), what="the memory is back", explain=agent.explain)
    eventually(lambda: ask(agent, "PING") == "+PONG", what="it answers", explain=agent.explain)
    assert ask(agent, "GET", "bearing") == "$-1"  # nothing was persisted, as asked
    agent.wait_condition("MemoryReady", "True", "Ready")
    (main,) = agent.pod()["status"]["containerStatuses"]
    assert (agent.pod()["metadata"]["uid"], main["restartCount"]) == (before, 0)


@pytest.mark.usefixtures("on_this_machine")
def test_should_keep_a_persistent_memory_through_kills_pauses_and_a_new_pod(restricted: Namespace, site: Site) -> None:
    agent = keeper(restricted, site, config={"persistence": True})
    agent.wait_phase("Running")
    agent.wait_condition("MemoryReady", "True", "Ready")
    assert ask(agent, "SET", "bearing", "north") == "+OK"
    status = eventually(
        lambda: agent.status() if agent.status().get("memoryStatus", {}).get("keys") == 1 else None,
        what="memoryStatus counts the key",
        explain=agent.explain,
    )
    assert status["memoryStatus"]["reachable"] is True
    assert status["memoryStatus"]["usedBytes"] > 0
    assert status["memoryStatus"]["maxBytes"] == 16 << 20
    before = agents_pod(agent)["metadata"]["uid"]

    signal_memory(agent, "redis", signal.SIGKILL)
    eventually(lambda: restarted(agent, "redis"), what="the memory is back", explain=agent.explain)
    eventually(lambda: ask(agent, "GET", "bearing") == "north", what="it remembers", explain=agent.explain)

    signal_memory(agent, "redis", signal.SIGSTOP)
    agent_condition(agent, "False")
    assert (agents_pod(agent)["metadata"]["uid"], agent.status()["phase"]) == (before, "Running")
    signal_memory(agent, "redis", signal.SIGCONT)
    agent_condition(agent, "True")

    agent.namespace.kubectl.run("delete", "pod", "keeper-memory-0", "-n", agent.namespace.name)
    eventually(lambda: ask(agent, "GET", "bearing") == "north", what="it remembers", explain=agent.explain)
    agent_condition(agent, "True")
    (main,) = agents_pod(agent)["status"]["containerStatuses"]
    assert (agents_pod(agent)["metadata"]["uid"], main["restartCount"]) == (before, 0)


def agent_condition(agent: Agent, truth: str) -> None:
    """Waits for MemoryReady to say so, whatever the reason."""
    eventually(
        lambda: agent.condition("MemoryReady").get("status") == truth,
        what=f"MemoryReady={truth}",
        explain=agent.explain,
    )


def test_should_follow_a_rotated_password_without_a_restart(restricted: Namespace, site: Site) -> None:
    agent = keeper(restricted, site)
    agent.wait_phase("Running")
    agent.wait_condition("MemoryReady", "True", "Ready")
    assert ask(agent, "SET", "bearing", "north") == "+OK"
    place = ("-n", restricted.name, "keeper-memory-0", "-c", "redis")

    rotated = base64.b64encode(b"rotated-by-a-person").decode()
    change = f'{{"data":{{"password":"{rotated}"}}}}'
    restricted.kubectl.run("patch", "secret", "keeper-memory", "-n", restricted.name, "-p", change)
    refresh_pod(restricted, "keeper-memory-0")

    def followed() -> bool:
        command = ("redis-cli", "--no-auth-warning", "-a", "rotated-by-a-person", "get", "bearing")
        return "north" in restricted.kubectl.run("exec", *place, "--", *command)

    eventually(followed, what="the server takes the new password", explain=agent.explain, timeout_s=MOUNTED_S)
    assert ask(agent, "GET", "bearing") == "north"  # with the former one, for ten minutes
    assert server(agent, "redis")["restartCount"] == 0
    restricted.kubectl.run("rollout", "restart", "deployment/keeper", "-n", restricted.name)
    restricted.kubectl.run("rollout", "status", "deployment/keeper", "-n", restricted.name, "--timeout=80s")
    eventually(
        lambda: "rotated-by-a-person" in _url(agent), what="the agent has the new password", explain=agent.explain
    )
    assert ask(agent, "GET", "bearing") == "north"


def _url(agent: Agent) -> str:
    living = [pod for pod in agent.pods() if not _is_memory(pod) and "deletionTimestamp" not in pod["metadata"]]
    if len(living) != 1:
        return ""
    place = ("-n", agent.namespace.name, living[0]["metadata"]["name"], "-c", "agent")
    return agent.namespace.kubectl.run("exec", *place, "--", "printenv", "AGENT_MEMORY_URL")
