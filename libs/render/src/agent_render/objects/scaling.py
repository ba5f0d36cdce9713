"""Scaling of a Deployment: a HorizontalPodAutoscaler, and a PodDisruptionBudget where there is more than one Pod."""

from agent_api.agenttype import AgentType, Scaling
from agent_render.identity import Identity, Manifest
from agent_render.parts.placement import as_written
from agent_render.settings import PlatformSettings

_CPU_PERCENT = 80


def autoscaler(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The autoscaler, when `scaling` asks for one; it decides the Deployment's replicas from then on."""
    del settings
    identity, scaling = Identity.of(agent), agent.spec.scaling
    if scaling is None:
        return ()
    behavior = {"behavior": as_written(scaling.behavior)} if scaling.behavior else {}
    return (
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": identity.metadata(identity.name),
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": identity.name},
                "minReplicas": scaling.min_replicas,
                "maxReplicas": scaling.max_replicas,
                "metrics": _metrics(agent, scaling),
                **behavior,
            },
        },
    )


def disruption_budget(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """One Pod at a time may be evicted; a single Pod has no budget, since it would only block a drain."""
    del settings
    identity, spec = Identity.of(agent), agent.spec
    most = spec.scaling.max_replicas if spec.scaling else spec.replicas or 1
    if spec.workload.kind != "Deployment" or most < 2:
        return ()
    return (
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": identity.metadata(identity.name),
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": identity.selector()}},
        },
    )


def _metrics(agent: AgentType, scaling: Scaling) -> list[Manifest]:
    """The user's own, else the CPU of the agent container alone: a busy sidecar must not scale the agent."""
    if scaling.metrics:
        return [as_written(metric) for metric in scaling.metrics]
    target = {"type": "Utilization", "averageUtilization": _CPU_PERCENT}
    resource = {"name": "cpu", "container": agent.spec.agent.name, "target": target}
    return [{"type": "ContainerResource", "containerResource": resource}]
