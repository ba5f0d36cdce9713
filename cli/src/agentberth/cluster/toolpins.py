"""Brings what a laptop has seen of an agent's tools into the cluster, so that its first Pod is held to it already.

An agent without a lock is given one: the ConfigMap that the operator keeps and renders back. One that has a lock keeps
it, since its Pods were held to it so far, and what differs is approved in its spec.
"""

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from agent_api.toolslock import LOCK_KEY, ToolsLock
from agent_render.identity import Identity
from agentberth.errors import CommandError

if TYPE_CHECKING:
    from agent_render.identity import Manifest
    from agentberth.cluster.kubectl import Kubectl

_MOST_APPROVED: Final = 256
"""As the definition of AgentType has it."""


def lock_manifest(name: str, lock: ToolsLock) -> "Manifest":
    """The ConfigMap with the pins of an agent, for whatever namespace it is applied to."""
    identity = Identity(name, "")
    metadata = {"name": identity.tools_lock, "labels": identity.labels()}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "data": {LOCK_KEY: lock.serialise()},
    }


def take_over(kubectl: "Kubectl", name: str, lock: ToolsLock) -> dict[str, str] | None:
    """What was approved, by tool; None when the agent had no lock and was given this one. Raises CommandError."""
    found = kubectl.get_if_present("configmap", Identity(name, "").tools_lock)
    if found is None:
        kubectl.ask("create", "--filename", "-", documents=[lock_manifest(name, lock)])
        return None
    try:
        known = ToolsLock.model_validate_json((found.get("data") or {}).get(LOCK_KEY, "{}"))
    except ValidationError:
        known = ToolsLock()  # as the operator reads one that is damaged
    approved = _differences(known, lock)
    if len(approved) > _MOST_APPROVED:
        raise CommandError(
            f"{len(approved)} tools differ, and an AgentType approves {_MOST_APPROVED} at most",
            cure=f"kubectl delete configmap {Identity(name, '').tools_lock} lets the agent begin with your lock",
        )
    if approved:
        kubectl.patch("agenttype", name, {"spec": {"tools": {"policy": {"approved": approved}}}})
    return approved


def _differences(known: ToolsLock, lock: ToolsLock) -> dict[str, str]:
    definitions = {
        tool: pin.hash
        for tool, pin in lock.definitions.items()
        if tool not in known.definitions or known.definitions[tool].hash != pin.hash
    }
    installs = {
        tool: each.sha256 for tool, each in lock.tools.items() if tool in known.tools and known.tools[tool] != each
    }
    return {**installs, **definitions}
