"""Computes the status from what a pass has seen: the phase, and Accepted, Available, Monitored and Ready."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_api.agenttype import AgentType, ConditionType, Phase, Reason
from agent_operator.objects import PodObject
from agent_operator.status.conditionlist import Verdict, conditions
from agent_operator.status.finding import Finding
from agent_operator.status.isolation import describe_isolation, missing_isolation
from agent_operator.status.preparation import judge_preparation
from agent_operator.status.progress import Progress
from agent_operator.status.sidecars import Sidecars
from agent_render.identity import Identity
from agent_render.initplan import needs_preparation
from agent_render.parts.monitoring import metric_ports, wants_metrics

Plain = dict[str, Any]

_KEPT = ("replicas", "readyReplicas", "selector", "lastRun", "startedJob", "memorySecret")
"""What is true of an agent whatever its spec says now."""


@dataclass(frozen=True)
class Seen:
    """What one pass has found out about an agent."""

    agent: AgentType
    progress: Progress
    pods: Sequence[PodObject]
    sidecars: Sidecars = field(default_factory=Sidecars)
    refusal: Finding | None = None
    """A child that the server did not take."""
    contest: Finding | None = None
    """A child that somebody else keeps changing."""
    unknown_settings: tuple[str, ...] = ()
    pod_monitors: bool = False
    """Whether the cluster has that API."""
    weaknesses: tuple[str, ...] = ()


def status_of(seen: Seen, before: Plain, *, generation: int, now: str) -> Plain:
    """The whole status of an accepted AgentType; `before` is the status that the server has."""
    verdicts = _verdicts(seen)
    ready = verdicts[-1]
    verdicts += _posture(seen)
    progress = seen.progress
    selector = Identity.of(seen.agent).selector()
    status = {
        **_head(_phase(seen), ready, generation),
        **(seen.sidecars.status or {}),
        "replicas": progress.replicas,
        "readyReplicas": progress.ready,
        "selector": ",".join(f"{name}={value}" for name, value in selector.items()),
        "lastRun": progress.last_run.plain() if progress.last_run else before.get("lastRun"),
        "conditions": conditions(verdicts, before.get("conditions", ()), generation=generation, now=now),
    }
    return {name: value for name, value in status.items() if value is not None}


def invalid_status(finding: Finding, before: Plain, *, generation: int, now: str) -> Plain:
    """The status of an AgentType that cannot be carried out; what runs already is left as it is."""
    accepted = Verdict(ConditionType.ACCEPTED, "False", finding.reason, finding.message)
    ready = Verdict(ConditionType.READY, "False", finding.reason, finding.message)
    listed = conditions((accepted, ready), before.get("conditions", ()), generation=generation, now=now)
    kept = {name: before[name] for name in _KEPT if name in before}
    return {**kept, **_head("Failed", ready, generation), "conditions": listed}


def hold_status(finding: Finding, before: Plain, *, generation: int, now: str) -> Plain:
    """The status while an object is held back: what was seen of it stays, Ready says why it stands still."""
    ready = Verdict(ConditionType.READY, "False", finding.reason, finding.message)
    others = [entry for entry in before.get("conditions", ()) if entry["type"] != ready.type]
    listed = others + conditions((ready,), before.get("conditions", ()), generation=generation, now=now)
    return {**before, **_head(before.get("phase", "Pending"), ready, generation), "conditions": listed}


def _head(phase: Phase, ready: Verdict, generation: int) -> Plain:
    return {
        "phase": phase,
        "reason": str(ready.reason),
        "message": ready.message,
        "observedGeneration": generation,
    }


def _verdicts(seen: Seen) -> list[Verdict]:
    accepted = _accepted(seen)
    prepared = judge_preparation(seen.pods, needed=needs_preparation(seen.agent))
    available = _available(seen.progress)
    return [accepted, prepared, *seen.sidecars.verdicts, *_monitored(seen), available, _ready(seen, accepted)]


def _accepted(seen: Seen) -> Verdict:
    if seen.refusal:
        return Verdict(ConditionType.ACCEPTED, "False", seen.refusal.reason, seen.refusal.message)
    if seen.unknown_settings:
        text = f"not known to Agentberth, and left as they are: {', '.join(seen.unknown_settings)}"
        return Verdict(ConditionType.ACCEPTED, "True", Reason.UNKNOWN_SETTINGS, text)
    return Verdict(ConditionType.ACCEPTED, "True", Reason.ACCEPTED, "")


def _monitored(seen: Seen) -> list[Verdict]:
    """Whether metrics are collected; the agent itself works without, so it has no part in Ready."""
    if not wants_metrics(seen.agent):
        return []
    if not metric_ports(seen.agent):
        text = "the agent has no sidecar with metrics"
        return [Verdict(ConditionType.MONITORED, "True", Reason.NOT_NEEDED, text)]
    if not seen.pod_monitors:
        text = "the cluster has no PodMonitor (monitoring.coreos.com/v1): install the Prometheus operator's definitions"
        return [Verdict(ConditionType.MONITORED, "False", Reason.NO_POD_MONITORS, text)]
    return [Verdict(ConditionType.MONITORED, "True", Reason.COLLECTED, "")]


def _posture(seen: Seen) -> list[Verdict]:
    """What is weaker than the default; with tools also that nothing is, which depends on the node."""
    report = seen.sidecars.tools
    weaknesses = (*seen.weaknesses, *missing_isolation(report))
    if weaknesses:
        return [Verdict(ConditionType.SECURITY_POSTURE, "False", Reason.WEAKENED, "; ".join(weaknesses))]
    if report is None or report.isolation is None:
        return []
    text = describe_isolation(report.isolation)
    return [Verdict(ConditionType.SECURITY_POSTURE, "True", Reason.ISOLATED, text)]


def _available(progress: Progress) -> Verdict:
    truth: Any = "True" if progress.ready else "False"
    reason = Reason.AVAILABLE if progress.ready else progress.reason
    return Verdict(ConditionType.AVAILABLE, truth, reason, progress.message)


def _ready(seen: Seen, accepted: Verdict) -> Verdict:
    """The summary: the first thing that is wrong, else that all is as wanted."""
    progress = seen.progress
    if accepted.status == "False":
        return Verdict(ConditionType.READY, "False", accepted.reason, accepted.message)
    if found := progress.finding or seen.contest:
        return Verdict(ConditionType.READY, "False", found.reason, found.message)
    unmet = next((verdict for verdict in seen.sidecars.verdicts if verdict.status == "False"), None)
    if unmet and progress.phase != "Succeeded":
        return Verdict(ConditionType.READY, "False", unmet.reason, f"{unmet.type}: {unmet.message}")
    if not progress.settled:
        return Verdict(ConditionType.READY, "False", progress.reason, progress.message)
    reason = Reason.READY if progress.reason == Reason.AVAILABLE else progress.reason
    return Verdict(ConditionType.READY, "True", reason, progress.message)


def _phase(seen: Seen) -> Phase:
    progress = seen.progress
    refused = seen.refusal is not None and seen.refusal.failing
    return "Failed" if refused and progress.phase == "Pending" else progress.phase
