"""How far the operator is, and what keeps its Pods from running: for `install`, which waits, and for `check`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from agent_base.printable import printable
from agentberth.cluster.bundle import OPERATOR, SELECTOR
from agentberth.cluster.kubectl import Kubectl

Plain = dict[str, Any]

_LINE_CHARS: Final = 400
_LOG_LINES: Final = 1
_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


@dataclass(frozen=True)
class Trouble:
    """Why a Pod of the operator does not run. `waits_for_image`: its image cannot be pulled."""

    message: str
    waits_for_image: bool = False


@dataclass(frozen=True)
class Rollout:
    """The operator's Deployment: how many replicas it wants and has, of its present template alone."""

    wanted: int
    ready: int
    image: str
    is_observed: bool

    @property
    def is_complete(self) -> bool:
        """Every replica is of the present template and ready."""
        return self.is_observed and self.ready >= self.wanted

    @classmethod
    def read(cls, deployment: Plain) -> "Rollout":
        spec, status = deployment["spec"], deployment.get("status", {})
        (container, *_) = spec["template"]["spec"]["containers"]
        seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
        ready = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
        return cls(spec.get("replicas", 1), ready, container["image"], seen)


def find_rollout(kubectl: Kubectl) -> Rollout | None:
    """The operator in kubectl's namespace, None when there is none. Raises CommandError."""
    deployment = kubectl.get_if_present("deployment", OPERATOR)
    return None if deployment is None else Rollout.read(deployment)


def troubles(kubectl: Kubectl) -> Iterator[Trouble]:
    """What the Pods of the operator, and the makers of Pods, complain about; each once. Raises CommandError."""
    found = [trouble for pod in kubectl.select("pods", f"--selector={SELECTOR}") for trouble in _of_pod(kubectl, pod)]
    if not found:
        found = [
            Trouble(printable(condition.get("message", ""), _LINE_CHARS))
            for replica_set in kubectl.select("replicasets", f"--selector={SELECTOR}")
            for condition in replica_set.get("status", {}).get("conditions", ())
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True"
        ]
    yield from dict.fromkeys(found)


def _of_pod(kubectl: Kubectl, pod: Plain) -> Iterator[Trouble]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield Trouble(printable(f"no node takes its Pod: {condition.get('message', '')}", _LINE_CHARS))
    for entry in status.get("containerStatuses", ()):
        waiting = entry.get("state", {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in _PULL:
            message = f"its image cannot be pulled: {waiting.get('message') or reason}"
            yield Trouble(printable(message, _LINE_CHARS), waits_for_image=True)
        elif entry.get("restartCount", 0) and not entry.get("ready"):
            log = kubectl.logs(name, entry["name"], lines=_LOG_LINES, previous=bool(waiting))
            yield Trouble(printable(f"it ends when it starts: {' '.join(log) or reason}", _LINE_CHARS))
