"""Every object of an agent, in the order they are applied."""

from collections.abc import Callable

from agent_api.agenttype import AgentType
from agent_render import allowed
from agent_render.containers import memory
from agent_render.identity import Manifest
from agent_render.network.policies import policies
from agent_render.objects.scaling import autoscaler, disruption_budget
from agent_render.objects.service import config_map, service, service_account
from agent_render.objects.workload import workload
from agent_render.parts import workspace
from agent_render.parts.monitoring import pod_monitor
from agent_render.settings import PlatformSettings
from agent_render.settings.registry import at_registry

Child = Callable[[AgentType, PlatformSettings], tuple[Manifest, ...]]

CHILDREN: tuple[Child, ...] = (
    service_account,
    config_map,
    policies,
    service,
    memory.server,
    workspace.claim,
    workload,
    autoscaler,
    disruption_budget,
    pod_monitor,
)


def render(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The manifests of `agent`: plain data, deterministic, without owner references.

    Raises RenderError when the platform cannot carry the spec out.
    """
    allowed.check(agent, settings)
    settings = at_registry(settings)
    return tuple(manifest for child in CHILDREN for manifest in child(agent, settings))
