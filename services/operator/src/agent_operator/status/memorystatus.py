"""`MemoryReady` and `memoryStatus`: the server as the kubelet has it, and the memory as a sidecar finds it."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent_api import layout
from agent_api.agenttype import AgentType, ConditionType, Memory, Reason
from agent_api.memoryreport import MemoryReport
from agent_operator.objects import PodObject
from agent_operator.status.conditionlist import Verdict
from agent_operator.status.finding import Finding
from agent_operator.status.memory import ServerState
from agent_operator.status.podfaults import fault_of

Plain = dict[str, Any]

STEADY_BYTES = 1 << 20
"""A server at rest uses a little more and a little less: less than this is no news, or each look would be a write."""


def of_sidecar(pods: Sequence[PodObject]) -> ServerState | None:
    """The inmemory sidecar of the newest Pod that has not ended; None when there is none."""
    for pod in pods:
        if pod.status.phase in {"Succeeded", "Failed"}:
            continue
        for status in pod.status.init_container_statuses:
            if status.name == layout.MEMORY:
                return ServerState(ready=status.ready, finding=None if status.ready else fault_of(status))
    return None


def is_stopped(agent: AgentType) -> bool:
    """Whether the memory is not wanted to run just now."""
    memory = agent.spec.memory
    return agent.spec.suspend and memory is not None and (memory.persistent or memory.type == "inmemory")


def judge_memory(memory: Memory, server: ServerState | None, report: MemoryReport | None) -> Verdict:
    """`MemoryReady`. `server` is None for a server at a url, `report` where no sidecar has looked."""
    if memory.type == "inmemory" and server is None:
        text = "the sidecar does not run yet"
        return Verdict(ConditionType.MEMORY_READY, "Unknown", Reason.PROGRESSING, text)
    fault = _fault(memory, server, report)
    if fault is not None:
        return Verdict(ConditionType.MEMORY_READY, "False", fault.reason, fault.message)
    if server is None and report is None:
        text = "no sidecar observes this memory: add tools or llm to have one that does"
        return Verdict(ConditionType.MEMORY_READY, "Unknown", Reason.NOT_OBSERVED, text)
    return Verdict(ConditionType.MEMORY_READY, "True", Reason.READY, server.note if server else "")


def _fault(memory: Memory, server: ServerState | None, report: MemoryReport | None) -> Finding | None:
    """The first thing that is wrong: a claim that is too small comes last, since the memory works with it."""
    if server is not None and not server.ready:
        return server.finding or Finding(Reason.PROGRESSING, "the memory does not answer yet")
    own = server.finding if server else None
    if own is not None and own.reason != Reason.CLAIM_NOT_RESIZED:
        return own
    if report is not None and not report.reachable:
        return Finding(Reason.MEMORY_UNREACHABLE, report.error)
    if report is not None and report.full:
        used = f"{(report.used_bytes or 0) >> 20}Mi of {memory.size}"
        return Finding(
            Reason.MEMORY_FULL, f"{used} used, and {report.eviction_policy} frees no space: raise memory.size"
        )
    return own


def memory_status(
    agent: AgentType, server: ServerState | None, report: MemoryReport | None, before: Mapping[str, Any] | None
) -> Plain | None:
    """`status.memoryStatus`; `before` is the one that the server has."""
    memory = agent.spec.memory
    if memory is None:
        return None
    ready = server is None or server.ready
    reachable = ready and report.reachable if report else (server.ready if server else None)
    found: Plain = {"type": "external" if memory.config.url else memory.type, "reachable": reachable}
    if server is not None and server.claim:
        found["claim"] = server.claim
    if report is not None and ready:
        figures = report.model_dump(exclude={"reachable", "full"}, by_alias=True)
        found |= {name: value for name, value in figures.items() if value not in (None, "")}
    return _steady({name: value for name, value in found.items() if value is not None}, before or {})


def _steady(found: Plain, before: Mapping[str, Any]) -> Plain:
    now, then = found.get("usedBytes"), before.get("usedBytes")
    if isinstance(now, int) and isinstance(then, int) and abs(now - then) < STEADY_BYTES:
        found["usedBytes"] = then
    return found
