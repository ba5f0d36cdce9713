"""Which Pods are an agent's: those that its own workload made. Labels and names can be put on any Pod.

Each step from a Pod to its AgentType goes by uid, through objects that are cached themselves.
"""

from typing import Any, Final

from agent_kube import ObjectKey, ObjectModel, OwnerReference, Source, Stores
from agent_operator.objects import AgentObject, PodObject
from agent_operator.sources import DEPLOYED, JOB_SOURCE, PODS_OF_AGENTS, REPLICATED, SCHEDULES, STATEFULSET_SOURCE
from agent_operator.status.podfaults import newest
from agent_render.identity import AGENT_LABEL, COMPONENT_LABEL

_WORKLOADS: Final[dict[str, Source[Any]]] = {
    "ReplicaSet": REPLICATED,
    "Deployment": DEPLOYED,
    "Job": JOB_SOURCE,
    "StatefulSet": STATEFULSET_SOURCE,
    "CronJob": SCHEDULES,
}
_MADE_BY: Final = {"ReplicaSet": "Deployment", "Job": "CronJob"}


def own_pods(stores: Stores, agent: AgentObject, component: str = "agent") -> list[PodObject]:
    """The Pods of one component of `agent`, the newest first."""
    labelled = stores[PODS_OF_AGENTS].labelled(AGENT_LABEL, agent.key.name)
    here = (pod for pod in labelled if pod.key.namespace == agent.key.namespace)
    ours = (pod for pod in here if pod.metadata.labels.get(COMPONENT_LABEL, "agent") == component)
    return newest(pod for pod in ours if _is_made_by(stores, agent, pod))


def _is_made_by(stores: Stores, agent: AgentObject, pod: PodObject) -> bool:
    controller = pod.metadata.controller
    return controller is not None and _is_workload_of(stores, agent, controller)


def _is_workload_of(stores: Stores, agent: AgentObject, owner: OwnerReference) -> bool:
    """Whether `agent` controls the workload `owner`, or the Deployment or CronJob that made it."""
    source = _WORKLOADS.get(owner.kind)
    live: ObjectModel | None = stores[source].get(ObjectKey(agent.key.namespace, owner.name)) if source else None
    if live is None or live.metadata.uid != owner.uid or live.metadata.controller is None:
        return False
    above = live.metadata.controller
    if above.kind == _MADE_BY.get(owner.kind):
        return _is_workload_of(stores, agent, above)
    return above.uid == agent.metadata.uid
