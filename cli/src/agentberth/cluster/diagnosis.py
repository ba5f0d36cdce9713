"""Why an agent is not ready, in the order in which a person would look: condition, event, container, log."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from agent_api.agenttype import ConditionType, Reason
from agent_base.printable import printable
from agent_render.identity import AGENT_LABEL
from agentberth.cluster.kubectl import Kubectl

Plain = dict[str, Any]

_EVENTS = 5
_LOG_LINES = 10
_LINE_CHARS = 4096


@dataclass(frozen=True)
class Container:
    """A container that is not as it should be, with the end of its log."""

    pod: str
    name: str
    state: str
    restarts: int
    log: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """All that was found. `ready` is the Ready condition; the other parts are empty when it is true."""

    name: str
    phase: str
    ready: bool
    reason: str
    message: str
    cure: str
    conditions: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    containers: tuple[Container, ...] = ()

    def plain(self) -> Plain:
        return asdict(self)


def diagnose(kubectl: Kubectl, name: str) -> Diagnosis:
    """Looks at one AgentType and everything it owns.

    Raises CommandError when it cannot be read.
    """
    agent = kubectl.get("agenttypes.agents.example.com", name)
    status: Plain = agent.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions", ())}
    ready = conditions.get(ConditionType.READY, {})
    seen = status.get("observedGeneration") == agent["metadata"]["generation"]
    head = Diagnosis(
        name=name,
        phase=status.get("phase", "Pending"),
        ready=seen and ready.get("status") == "True",
        reason=ready.get("reason", "") if seen else "NotObserved",
        message=printable(ready.get("message", ""), _LINE_CHARS)
        if seen
        else "the operator has not looked at the present spec",
        cure=_cure_of(ready.get("reason", "")) if seen else "agentberth check says whether the operator runs",
    )
    if head.ready:
        return head
    pods = kubectl.select("pods", f"--selector={AGENT_LABEL}={name}")
    return Diagnosis(
        **{**vars(head), "conditions": tuple(_unmet(conditions)), "events": _warnings(kubectl, name),
           "containers": tuple(c for pod in pods for c in _containers(kubectl, pod))}
    )  # fmt: skip


def _cure_of(reason: str) -> str:
    """What to do; empty for a reason that this version does not know, and for a fault, whose message says it itself."""
    return next((known.cure for known in Reason if known == reason), "")


def _unmet(conditions: dict[str, Plain]) -> Iterator[str]:
    for condition in conditions.values():
        if condition["status"] != "True" and condition["type"] != ConditionType.READY:
            text = f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}"
            yield printable(text, _LINE_CHARS)


def _warnings(kubectl: Kubectl, name: str) -> tuple[str, ...]:
    """The newest warnings about the AgentType and what is named after it."""
    found = kubectl.select("events", "--field-selector=type=Warning", "--sort-by=.metadata.creationTimestamp")
    mine = [e for e in found if _concerns(e["involvedObject"].get("name", ""), name)]
    lines = (f"{e['involvedObject']['kind']} {e['reason']}: {(e.get('message') or '').strip()}" for e in reversed(mine))
    return tuple(printable(line, _LINE_CHARS) for line in dict.fromkeys(lines))[:_EVENTS]


def _concerns(involved: str, name: str) -> bool:
    return involved == name or involved.startswith(f"{name}-")


def _containers(kubectl: Kubectl, pod: Plain) -> Iterator[Container]:
    status = pod.get("status", {})
    for entry in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        state = _trouble(entry)
        if state is None:
            continue
        name, restarts = pod["metadata"]["name"], entry.get("restartCount", 0)
        waits = "waiting" in entry.get("state", {})
        log = kubectl.logs(name, entry["name"], lines=_LOG_LINES, previous=waits and restarts > 0)
        shown = tuple(printable(line, _LINE_CHARS) for line in log)
        yield Container(name, entry["name"], printable(state, _LINE_CHARS), restarts, shown)


def _trouble(entry: Plain) -> str | None:
    """What is wrong with a container; None when it runs and is ready, or has ended well."""
    state = entry.get("state", {})
    if "terminated" in state:
        code = state["terminated"].get("exitCode", 0)
        return f"ended with exit code {code} ({state['terminated'].get('reason', '')})" if code else None
    if "waiting" in state:
        waiting = state["waiting"]
        text = ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
        return None if waiting.get("reason") == "PodInitializing" else text or "waiting"
    return None if entry.get("ready") else "running, not ready"
