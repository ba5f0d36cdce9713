"""Requests and limits of each container: the profile, with the AgentType's exceptions over it.

Where an exception gives one side alone, the other follows it as far as Kubernetes asks: a request never exceeds its
limit, and a device such as a GPU has a limit that equals its request.
"""

from typing import Literal

from agent_api.agenttype import AgentType
from agent_api.agenttype.kubernetes.resources import DIVISIBLE, Resources, amount_of
from agent_render.errors import RenderError
from agent_render.identity import Manifest
from agent_render.settings import ContainerSize, PlatformSettings

SizedContainer = Literal["agent", "init", "toolproxy", "llmgateway", "memory"]
Amount = int | str


def resources(agent: AgentType, settings: PlatformSettings, container: SizedContainer) -> Manifest:
    """The `resources` of a container."""
    plan = agent.spec.resources
    size = _size(plan.profile, settings, container)
    own: Resources = getattr(plan, container) or Resources()
    cpu_limit = {"cpu": size.cpu_limit} if size.cpu_limit and plan.cpu_limits else {}
    requests: dict[str, Amount] = {"cpu": size.cpu, "memory": size.memory, **own.requests}
    limits: dict[str, Amount] = {**cpu_limit, "memory": size.memory_limit, **own.limits}
    for name in requests.keys() | limits.keys():
        _complete(name, requests, limits, own)
    return {"requests": _in_order(requests, own), "limits": _in_order(limits, own)}


def memory_limit_bytes(agent: AgentType, settings: PlatformSettings, container: SizedContainer) -> int:
    """The memory that a container may have."""
    return int(amount_of(resources(agent, settings, container)["limits"]["memory"]))


def _size(profile: str, settings: PlatformSettings, container: SizedContainer) -> ContainerSize:
    found = settings.profiles.get(profile)
    if found is None:
        known = ", ".join(sorted(settings.profiles))
        raise RenderError(f"spec.resources.profile: the platform has no profile {profile}; it has {known}")
    size: ContainerSize = getattr(found, container)
    return size


def _complete(name: str, requests: dict[str, Amount], limits: dict[str, Amount], own: Resources) -> None:
    """What the author gave for `name` stays; the side that nobody gave follows."""
    if name not in DIVISIBLE:
        if name in requests:  # a limit alone is Kubernetes' own form
            limits.setdefault(name, requests[name])
    elif name in requests and name in limits and amount_of(requests[name]) > amount_of(limits[name]):
        if name not in own.limits:
            limits[name] = requests[name]
        elif name not in own.requests:
            requests[name] = limits[name]


def _in_order(amounts: dict[str, Amount], own: Resources) -> dict[str, Amount]:
    """First the profile's, then the author's in their order: rendering twice gives the same bytes."""
    names = dict.fromkeys(("cpu", "memory", *own.requests, *own.limits))
    return {name: amounts[name] for name in names if name in amounts}
