"""Objects as the API server tells of them, in short."""

from typing import Any

import msgspec

from agent_api.agenttype import AgentType
from agent_operator.objects import DeploymentObject, JobObject, PodObject

Document = dict[str, Any]


def agent(name: str = "subject", **spec: Any) -> AgentType:
    document = {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": name, "namespace": "team", "uid": "uid-agent"},
        "spec": {"agent": {"image": "nginx:1.27"}, **spec},
    }
    return AgentType.model_validate(document)


def state(name: str, **status: Any) -> Document:
    """A container's status; `waiting`, `terminated` and `last` are its states."""
    found: Document = {"name": name, "ready": status.pop("ready", False), "restartCount": status.pop("restarts", 0)}
    last = status.pop("last", None)
    return {**found, "state": status, "lastState": {"terminated": last} if last else {}}


def pod(
    *containers: Document,
    name: str = "pod",
    init: tuple[Document, ...] = (),
    phase: str = "Running",
    scheduled: str = "True",
    metadata: Document | None = None,
    **status: Any,
) -> PodObject:
    """A Pod of the namespace `team`."""
    document = {
        "metadata": {"name": name, "namespace": "team", "uid": f"uid-{name}", **(metadata or {})},
        "status": {
            "phase": phase,
            "conditions": [{"type": "PodScheduled", "status": scheduled}],
            "initContainerStatuses": list(init),
            "containerStatuses": list(containers),
            **status,
        },
    }
    return msgspec.convert(document, PodObject)


def unschedulable(message: str) -> PodObject:
    """A Pod that the scheduler has given up."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return pod(phase="Pending", conditions=[condition])


def deployment(
    *, wanted: int = 1, ready: int = 0, generation: int = 1, observed: int = 1, **status: Any
) -> DeploymentObject:
    """A Deployment whose Pods are all of the present template."""
    counts = {"replicas": wanted, "updatedReplicas": wanted, "readyReplicas": ready, "observedGeneration": observed}
    document = {
        "metadata": {"name": "subject", "namespace": "team", "uid": "uid-deployment", "generation": generation},
        "spec": {"replicas": wanted},
        "status": {**counts, **status},
    }
    return msgspec.convert(document, DeploymentObject)


def job(name: str = "run", *, suspend: bool = False, **status: Any) -> JobObject:
    """A Job of the namespace `team`."""
    document = {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"suspend": suspend},
        "status": status,
    }
    return msgspec.convert(document, JobObject)


def condition(kind: str, **parts: str) -> Document:
    """A condition that holds."""
    return {"type": kind, "status": "True", **parts}


SUCCEEDED: Document = {"conditions": [condition("Complete")], "completionTime": "2026-01-01T00:05:00Z", "succeeded": 1}
FAILED: Document = {
    "conditions": [
        condition("FailureTarget", reason="BackoffLimitExceeded"),
        condition(
            "Failed",
            reason="BackoffLimitExceeded",
            message="Job has reached the specified backoff limit",
            lastTransitionTime="2026-01-01T00:06:00Z",
        ),
    ],
    "failed": 1,
}
