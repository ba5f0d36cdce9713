"""Prerequisites that are applied before the workload: ServiceAccount, configuration and NetworkPolicies."""

from collections.abc import Iterable

from agent_kube import Applied, Applier, Manifest, Request
from agent_operator.objects import AgentObject

FENCE = frozenset({"ServiceAccount", "ConfigMap", "NetworkPolicy"})
STARTS_PODS = frozenset({"Deployment", "StatefulSet", "Job", "CronJob", "HorizontalPodAutoscaler"})


async def apply_fenced(
    applier: Applier, request: Request, obj: AgentObject, children: Iterable[Manifest], *, stops: bool
) -> Applied:
    """Apply `children`: the fence first, and what starts or scales Pods only once all of it stands.

    `stops`: the children only take Pods away, which needs no fence.
    """
    fence: list[Manifest] = []
    rest: list[Manifest] = []
    for child in children:
        (fence if child["kind"] in FENCE else rest).append(child)
    applied = await applier.apply(request, owner=obj, children=fence)
    if applied.refused and not stops:
        rest = [child for child in rest if child["kind"] not in STARTS_PODS]
    applied.add(await applier.apply(request, owner=obj, children=rest))
    return applied


def is_open(applied: Applied) -> bool:
    """Whether a part of the fence could not be applied."""
    return any(refusal.kind in FENCE for refusal in applied.refused)
