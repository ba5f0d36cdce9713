"""An agent with sidecars that does nothing of itself: tests run commands in it and look at its containers."""

import json
import os
import signal
from pathlib import Path
from typing import Any

from e2e.agents import PYTHON_VERSION
from e2e.deployment import processes_of, send
from e2e.kubectl import Document
from e2e.namespace import Agent, Namespace
from e2e.place import Site
from e2e.waiting import eventually

MODEL_CLIENT = (Path(__file__).parent / "model_client.py").read_text()
SLEEPER = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
_ASK = (
    "import json, sys; sys.path.insert(0, '/shared'); import model_client; print(json.dumps(model_client.ask('ahoy')))"
)
_LIST_TOOLS = """\
import json, os, urllib.request
tools = json.load(urllib.request.urlopen(os.environ["TOOL_PROXY_URL"] + "/v1/tools", timeout=30))["tools"]
print(json.dumps({tool["name"]: tool["state"] for tool in tools}))
"""
RESTRICTED = {"profile": "restricted"}


def python_agent(site: Site, code: str = SLEEPER) -> dict[str, Any]:
    """`spec.agent` of an image with python, where /shared/model_client.py can ask a model."""
    return {
        "image": site.images.python.format(version=PYTHON_VERSION),
        "command": ["python", "-c", code],
        "environment": {"files": [{"path": "model_client.py", "content": MODEL_CLIENT}]},
    }


def assisted(namespace: Namespace, site: Site, *providers: dict[str, Any], **spec: Any) -> Agent:
    """An agent with a model gateway to `providers`, running."""
    agent = namespace.create(
        "assisted", python_agent(site), llm={"providers": list(providers)}, security=RESTRICTED, **spec
    )
    agent.wait_phase("Running")
    return agent


def ask(agent: Agent) -> str:
    """What a model answers to the agent's container. Raises KubectlError when none does."""
    text, _ = json.loads(agent.run("python", "-c", _ASK))
    return str(text)


def tool_states(agent: Agent) -> dict[str, str]:
    """The tools as the agent's container sees them. Raises KubectlError when nobody answers."""
    states: dict[str, str] = json.loads(agent.run("python", "-c", _LIST_TOOLS))
    return states


def containers(agent: Agent) -> dict[str, Document]:
    """Status of each container of its Pod, by name."""
    status = agent.pod()["status"]
    return {one["name"]: one for kind in ("initContainerStatuses", "containerStatuses") for one in status.get(kind, ())}


def lives(agent: Agent) -> dict[str, tuple[str, int]]:
    """Which life each container is in: id and number of restarts. Equal before and after: nothing was restarted."""
    return {name: (one.get("containerID", ""), one["restartCount"]) for name, one in containers(agent).items()}


def kill(site: Site, agent: Agent, name: str) -> None:
    """SIGKILL for a container's processes where they run on this machine; elsewhere its first one is told to end."""
    if not site.own:
        place = ("-n", agent.namespace.name, agent.pod()["metadata"]["name"], "-c", name)
        site.kubectl.run("exec", *place, "--", "sh", "-c", "kill -TERM 1")
        return
    pids = processes_of(containers(agent)[name]["containerID"].rpartition("/")[2])
    assert pids, f"no process of {name} in sight"
    send(signal.SIGKILL, pids)


def wait_restarted(agent: Agent, name: str) -> None:
    """Returns when a container is in its second life, and ready."""

    def look() -> bool:
        found = containers(agent)[name]
        return bool(found["restartCount"] == 1 and found["ready"])

    eventually(look, what=f"{name} is ready again", explain=agent.explain)


def refresh(agent: Agent) -> None:
    """Has the kubelet bring changed ConfigMaps and Secrets into the Pod now.

    It would within a minute or so; any change of the Pod makes it look at once.
    """
    refresh_pod(agent.namespace, agent.pod()["metadata"]["name"])


def refresh_pod(namespace: Namespace, name: str) -> None:
    """The same of one Pod by name."""
    place = ("pod", name, "-n", namespace.name)
    namespace.kubectl.run("annotate", *place, "--overwrite", f"test/refreshed={os.urandom(4).hex()}")
