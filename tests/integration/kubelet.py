"""Plays the kubelet of one node: says of Pods what a kubelet would, when the test wants it said.

The Pods ask for a resource that no node has, so that the scheduler leaves them to be placed here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from integration.api import Api, Document
from integration.waiting import eventually

ON_HAND: Document = {"agent": {"limits": {"example.com/hand": 1}}}
"""`spec.resources` of an agent whose Pods are placed by hand."""


def now() -> str:
    """The time as the kubelet writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Kubelet:
    """The kubelet of `node`."""

    api: Api
    node: str

    async def take(self, pod: Document) -> str:
        """Places a Pod on the node; its name. The scheduler has its say first, or it would come later."""
        name: str = pod["metadata"]["name"]

        async def given_up() -> bool:
            conditions = (await self.api.get("pods", name))["status"].get("conditions", ())
            return any(c["type"] == "PodScheduled" and c["reason"] == "Unschedulable" for c in conditions)

        await eventually(given_up)
        target = {"apiVersion": "v1", "kind": "Node", "name": self.node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        path = f"/api/v1/namespaces/{self.api.namespace}/pods/{name}/binding"
        await self.api.call("POST", path, binding)
        return name

    async def report(
        self,
        pod: str,
        phase: str,
        *,
        init: dict[str, Document] | None = None,
        main: dict[str, Document] | None = None,
        ready: bool = False,
    ) -> None:
        """Writes a Pod's status: `init` and `main` are container states by name."""
        truth = "True" if ready else "False"
        status = {
            "phase": phase,
            "startTime": now(),
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "ContainersReady", "status": truth},
                {"type": "Ready", "status": truth, "lastTransitionTime": now()},
            ],
            "initContainerStatuses": _statuses(init or {}, ready=True),
            "containerStatuses": _statuses(main or {}, ready=ready),
        }
        await self.api.patch("pods", pod, {"status": status}, part="status", manager="kubelet")

    async def let_go(self, pod: str) -> None:
        """Ends a Pod that is being deleted, as a kubelet does when its containers have stopped."""

        async def deleted() -> bool:
            return "deletionTimestamp" in (await self.api.get("pods", pod))["metadata"]

        await eventually(deleted)
        await self.report(pod, "Failed", main={"agent": ended(143)})
        path = f"/api/v1/namespaces/{self.api.namespace}/pods/{pod}"
        await self.api.call("DELETE", path, {"gracePeriodSeconds": 0})

    async def warn(self, pod: Document, reason: str, message: str) -> None:
        """Writes an event about a Pod."""
        metadata = pod["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}."},
            "involvedObject": {"kind": "Pod", "namespace": self.api.namespace}
            | {key: metadata[key] for key in ("name", "uid")},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "source": {"component": "kubelet", "host": self.node},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        await self.api.create("events", event)


def waiting(reason: str, message: str = "") -> Document:
    """A container that does not run yet."""
    return {"waiting": {"reason": reason, "message": message}}


def running() -> Document:
    """A container that runs."""
    return {"running": {"startedAt": now()}}


def ended(code: int, *, reason: str = "", message: str = "") -> Document:
    """A container that has ended; `message` is what it wrote to its termination log."""
    reason = reason or ("Completed" if code == 0 else "Error")
    times = {"startedAt": now(), "finishedAt": now()}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


async def join_node(api: Api, name: str) -> Kubelet:
    """A node that nothing is scheduled on."""
    node: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    await api.call("POST", "/api/v1/nodes", node | {"spec": {"unschedulable": True}})
    return Kubelet(api, name)


async def leave_node(kubelet: Kubelet) -> None:
    """Removes the node; its Pods are cleared away with their namespace."""
    await kubelet.api.call("DELETE", f"/api/v1/nodes/{kubelet.node}")


def _statuses(states: dict[str, Document], *, ready: bool) -> list[Document]:
    return [
        {
            "name": name,
            "image": "image",
            "imageID": "",
            "ready": ready and "waiting" not in state,
            "restartCount": 0,
            "state": state,
        }
        for name, state in states.items()
    ]
