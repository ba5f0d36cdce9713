"""Requests and limits of each container: the profile, with the AgentType's exceptions over it.

Where an exception gives one side alone, the other follows it as far as Kubernetes asks: a request never exceeds its
limit, and a device such as a GPU has a limit that equals its request.
"""

from decimal import Decimal, InvalidOperation
from typing import Literal

from agent_api.agenttype import AgentType
from agent_api.agenttype.kubernetes import Resources
from agent_render.identity import Manifest
from agent_render.settings import ContainerSize, PlatformSettings

SizedContainer = Literal["agent", "init", "toolproxy", "llmgateway", "memory"]
Amount = int | str

_DIVISIBLE = frozenset({"cpu", "memory", "ephemeral-storage"})
_BINARY = {unit: Decimal(1024**power) for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {
    unit: Decimal(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)
}
_UNITS = {**_BINARY, **_DECIMAL}


def resources(agent: AgentType, settings: PlatformSettings, container: SizedContainer) -> Manifest:
    """The `resources` of a container."""
    plan = agent.spec.resources
    chosen = getattr(settings.profiles, plan.profile)
    size: ContainerSize = getattr(chosen, container)
    own: Resources = getattr(plan, container) or Resources()
    requests: dict[str, Amount] = {"cpu": size.cpu, "memory": size.memory, **own.requests}
    limits: dict[str, Amount] = {"cpu": size.cpu_limit, "memory": size.memory_limit, **own.limits}
    for name in requests.keys() | limits.keys():
        _complete(name, requests, limits, own)
    return {"requests": _in_order(requests, own), "limits": _in_order(limits, own)}


def memory_limit_bytes(agent: AgentType, settings: PlatformSettings, container: SizedContainer) -> int | None:
    """The memory that a container may have; None where the author's own text is no quantity."""
    limit = _value(resources(agent, settings, container)["limits"]["memory"])
    return int(limit) if limit is not None else None


def _complete(name: str, requests: dict[str, Amount], limits: dict[str, Amount], own: Resources) -> None:
    """What the author gave for `name` stays; the side that nobody gave follows."""
    if name not in _DIVISIBLE:
        if name in requests:  # a limit alone is Kubernetes' own form
            limits.setdefault(name, requests[name])
    elif name in requests and name in limits and _exceeds(requests[name], limits[name]):
        if name not in own.limits:
            limits[name] = requests[name]
        elif name not in own.requests:
            requests[name] = limits[name]


def _in_order(amounts: dict[str, Amount], own: Resources) -> dict[str, Amount]:
    """First the profile's, then the author's in their order: rendering twice gives the same bytes."""
    names = dict.fromkeys(("cpu", "memory", *own.requests, *own.limits))
    return {name: amounts[name] for name in names if name in amounts}


def _exceeds(request: Amount, limit: Amount) -> bool:
    first, second = _value(request), _value(limit)
    return first is not None and second is not None and first > second


def _value(amount: Amount) -> Decimal | None:
    """None for what is no quantity: the API server says so of the author's own text."""
    text = str(amount)
    number = text.rstrip("numkKMGTPEi")
    try:
        return Decimal(number) * _UNITS[text[len(number) :]]
    except (InvalidOperation, KeyError):
        return None
