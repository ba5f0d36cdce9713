"""Which Pods are an agent's: those that its own workload made. Labels alone can be put on any Pod."""

from typing import Any, Final

from agent_kube import ObjectKey, ObjectModel, OwnerReference, Source, Stores
from agent_operator.sources import PODS_OF_AGENTS, RUNS, SCHEDULES, SERVERS, AgentObject, PodObject
from agent_operator.status.podfaults import newest
from agent_render.identity import AGENT_LABEL, COMPONENT_LABEL

_HASH_LABEL = "pod-template-hash"
_WORKLOADS: Final[dict[str, Source[Any]]] = {"Job": RUNS, "StatefulSet": SERVERS, "CronJob": SCHEDULES}


def own_pods(stores: Stores, agent: AgentObject, component: str = "agent") -> list[PodObject]:
    """The Pods of one component of `agent`, the newest first."""
    labelled = stores[PODS_OF_AGENTS].labelled(AGENT_LABEL, agent.key.name)
    here = (pod for pod in labelled if pod.key.namespace == agent.key.namespace)
    ours = (pod for pod in here if pod.metadata.labels.get(COMPONENT_LABEL, "agent") == component)
    return newest(pod for pod in ours if _is_made_by(stores, agent, pod))


def _is_made_by(stores: Stores, agent: AgentObject, pod: PodObject) -> bool:
    """ReplicaSets are not cached: the one of a Deployment is known by its name."""
    controller = pod.metadata.controller
    if controller is None:
        return False
    if controller.kind == "ReplicaSet":
        return controller.name == f"{agent.key.name}-{pod.metadata.labels.get(_HASH_LABEL, '')}"
    return _is_workload_of(stores, agent, controller)


def _is_workload_of(stores: Stores, agent: AgentObject, owner: OwnerReference) -> bool:
    """Whether `owner` is a Job, StatefulSet or CronJob that `agent` controls, or a Job of such a CronJob."""
    source = _WORKLOADS.get(owner.kind)
    live: ObjectModel | None = stores[source].get(ObjectKey(agent.key.namespace, owner.name)) if source else None
    if live is None or live.metadata.uid != owner.uid or live.metadata.controller is None:
        return False
    above = live.metadata.controller
    if owner.kind == "Job" and above.kind == "CronJob":
        return _is_workload_of(stores, agent, above)
    return above.uid == agent.metadata.uid
