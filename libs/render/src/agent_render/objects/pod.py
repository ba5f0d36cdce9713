"""The Pod: its parts, and the agent."""

from agent_api.agenttype import AgentType
from agent_render.containers import agent as main
from agent_render.containers import authorvolumes, initenv, llmgateway, memory, toolproxy
from agent_render.identity import Identity, Manifest
from agent_render.objects.startorder import order
from agent_render.parts import outside, placement
from agent_render.parts.hardening import pod_context
from agent_render.parts.part import PodPart, gather
from agent_render.settings import PlatformSettings

PARTS = (initenv.part, toolproxy.part, llmgateway.part, memory.part)


def pod_parts(agent: AgentType, settings: PlatformSettings) -> PodPart:
    """What all parts of the Pod contribute."""
    return gather((outside.part(settings), *(part(agent, settings) for part in PARTS)))


def pod_template(agent: AgentType, settings: PlatformSettings) -> Manifest:
    """The Pod template of the workload: metadata and spec."""
    identity, parts = Identity.of(agent), pod_parts(agent, settings)
    spec = {
        "serviceAccountName": identity.account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **placement.of_agent(agent, settings),
        "securityContext": pod_context(agent, settings),
        **({"initContainers": order(parts.init_containers)} if parts.init_containers else {}),
        "containers": [main.container(agent, settings, parts)],
        "volumes": [*parts.volumes, *main.volumes(agent, settings), *authorvolumes.volumes(agent, settings)],
    }
    metadata = placement.metadata(agent, settings)
    if parts.annotations:
        metadata["annotations"] = {**metadata.get("annotations", {}), **parts.annotations}
    return {"metadata": metadata, "spec": spec}
