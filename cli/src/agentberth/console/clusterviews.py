"""Kubernetes objects as the console's views of them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agent_api import layout
from agent_api.agenttype import ConditionType, Reason
from agentberth.console.view import AgentRow, ConditionView, ContainerView, Plain, State

_MOST_EVENTS: Final = 50
_ROLES: Final = {layout.INITENV: "init"}


def row_of(agent: Mapping[str, Any]) -> AgentRow:
    """A line of the list."""
    meta, status = agent["metadata"], agent.get("status") or {}
    ready: Mapping[str, Any] = next((c for c in status.get("conditions", ()) if c["type"] == ConditionType.READY), {})
    llm = status.get("llmStatus") or {}
    cure = _reason(ready.get("reason", ""))
    wanted = status.get("replicas")
    return AgentRow(
        namespace=meta["namespace"],
        name=meta["name"],
        phase=status.get("phase", "Pending"),
        ready=ready.get("status") == "True",
        reason=ready.get("reason", "NotObserved"),
        message=ready.get("message", "" if ready else "the operator has not looked at this spec yet"),
        cure=cure.cure if cure else "",
        replicas="" if wanted is None else f"{status.get('readyReplicas') or 0}/{wanted}",
        created=meta.get("creationTimestamp", ""),
        tokens=_tokens(llm),
        budget=_summary(llm.get("budget")),
    )


def _summary(budget: object) -> str:
    return str(budget.get("summary", "")) if isinstance(budget, dict) else ""


def _tokens(llm: Mapping[str, Any]) -> int | None:
    providers = _by_name(llm.get("providers"))
    counts = [each.get(key, 0) for each in providers.values() for key in ("inputTokens", "outputTokens")]
    return sum(count for count in counts if isinstance(count, int)) if providers else None


def _by_name(entries: object) -> dict[str, Plain]:
    found = entries if isinstance(entries, dict) else {}
    return {name: each for name, each in found.items() if isinstance(each, dict)}


def providers_of(agent: Mapping[str, Any]) -> tuple[Plain, ...]:
    """In the order of failover; what the status does not have yet is left out."""
    llm = (agent.get("status") or {}).get("llmStatus") or {}
    known, answering = _by_name(llm.get("providers")), llm.get("answering", "")
    spec = (agent["spec"].get("llm") or {}).get("providers") or ()
    return tuple(
        {
            **known[each["name"]],
            "name": each["name"],
            "type": each["type"],
            "usable": bool(known[each["name"]].get("keys")) or each["type"] == "mock",
            "answering": each["name"] == answering,
            "routes": [{"breaker": known[each["name"]].get("breaker", "closed"), "cooldownSeconds": 0}],
        }
        for each in spec
        if each["name"] in known
    )


def tools_of(agent: Mapping[str, Any]) -> tuple[Plain, ...]:
    """With their state, source and pin."""
    return tuple(
        {**each, "name": name} for name, each in _by_name((agent.get("status") or {}).get("toolStatus")).items()
    )


def _reason(reason: str) -> Reason | None:
    return next((known for known in Reason if known == reason), None)


def conditions_of(agent: Mapping[str, Any]) -> tuple[ConditionView, ...]:
    """With the cause and the cure of each reason."""
    found = (agent.get("status") or {}).get("conditions", ())
    return tuple(_condition(each) for each in found)


def _condition(each: Mapping[str, Any]) -> ConditionView:
    reason = _reason(each.get("reason", ""))
    return ConditionView(
        type=each["type"],
        status=each["status"],
        reason=each.get("reason", ""),
        message=each.get("message", ""),
        cause=reason.cause if reason else "",
        cure=reason.cure if reason else "",
        since=each.get("lastTransitionTime", ""),
    )


def containers_of(pods: Iterable[Mapping[str, Any]]) -> Iterator[ContainerView]:
    """Of each Pod, in the order in which they start."""
    for pod in pods:
        status = pod.get("status", {})
        states = {
            each["name"]: each
            for key in ("initContainerStatuses", "containerStatuses")
            for each in status.get(key) or ()
        }
        spec = pod["spec"]
        for container in spec.get("initContainers") or ():
            role = "sidecar" if container.get("restartPolicy") == "Always" else "init"
            yield _container(pod, container["name"], role, states)
        for container in spec["containers"]:
            yield _container(pod, container["name"], "agent", states)


def _container(pod: Mapping[str, Any], name: str, role: Any, states: Mapping[str, Any]) -> ContainerView:  # noqa: ANN401 - a Literal
    entry = states.get(name, {})
    state, detail = _state(entry)
    return ContainerView(name, role, state, detail, entry.get("restartCount", 0), pod["metadata"]["name"])


def _state(entry: Mapping[str, Any]) -> tuple[State, str]:
    state = entry.get("state") or {}
    if "running" in state:
        return ("ready" if entry.get("ready") else "running"), ""
    if "terminated" in state:
        code = state["terminated"].get("exitCode", 0)
        detail = f"exit code {code} {state['terminated'].get('reason', '')}".strip()
        return ("failed" if code else "ended"), detail
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason", "")
    usual = reason in ("", "PodInitializing", "ContainerCreating")
    return ("waiting" if usual else "failed"), " ".join(filter(None, (reason, waiting.get("message"))))


def events_of(events: Sequence[Mapping[str, Any]], name: str) -> tuple[Plain, ...]:
    """The newest first, of the agent and of what is named after it."""
    mine = [each for each in events if _concerns(each.get("involvedObject", {}).get("name", ""), name)]
    mine.sort(key=_moment, reverse=True)
    return tuple(
        {
            "at": _moment(each),
            "type": each.get("type", ""),
            "reason": each.get("reason", ""),
            "message": str(each.get("message") or "")[:1000],
        }
        for each in mine[:_MOST_EVENTS]
    )


def _moment(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _concerns(involved: str, name: str) -> bool:
    return involved == name or involved.startswith(f"{name}-")
