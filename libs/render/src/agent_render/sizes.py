"""Requests and limits of each container: the profile, with the AgentType's exceptions over it."""

from typing import Literal

from agent_api.agenttype import AgentType
from agent_api.agenttype.kubernetes import Resources
from agent_render.identity import Manifest
from agent_render.settings import ContainerSize, PlatformSettings

SizedContainer = Literal["agent", "init", "toolproxy", "llmgateway", "memory"]


def resources(agent: AgentType, settings: PlatformSettings, container: SizedContainer) -> Manifest:
    """The `resources` of a container."""
    plan = agent.spec.resources
    chosen = getattr(settings.profiles, plan.profile)
    size: ContainerSize = getattr(chosen, container)
    own: Resources = getattr(plan, container) or Resources()
    return {
        "requests": {"cpu": size.cpu, "memory": size.memory, **own.requests},
        "limits": {"cpu": size.cpu_limit, "memory": size.memory_limit, **own.limits},
    }
