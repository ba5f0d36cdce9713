"""Which Pods are an agent's: those that its own workload made. Labels alone can be put on any Pod."""

from agent_kube import ObjectKey, Stores
from agent_operator.sources import PODS_OF_AGENTS, RUNS, SERVERS, PodObject
from agent_operator.status.podfaults import newest
from agent_render.identity import AGENT_LABEL, COMPONENT_LABEL

_HASH_LABEL = "pod-template-hash"


def own_pods(stores: Stores, agent: ObjectKey, component: str = "agent") -> list[PodObject]:
    """The Pods of one component of `agent`, the newest first."""
    labelled = stores[PODS_OF_AGENTS].labelled(AGENT_LABEL, agent.name)
    here = (pod for pod in labelled if pod.key.namespace == agent.namespace)
    ours = (pod for pod in here if pod.metadata.labels.get(COMPONENT_LABEL, "agent") == component)
    return newest(pod for pod in ours if _is_made_by(stores, agent, pod))


def _is_made_by(stores: Stores, agent: ObjectKey, pod: PodObject) -> bool:
    """ReplicaSets are not cached: the one of a Deployment is known by its name."""
    controller = pod.metadata.controller
    if controller is None:
        return False
    if controller.kind == "ReplicaSet":
        return controller.name == f"{agent.name}-{pod.metadata.labels.get(_HASH_LABEL, '')}"
    key = ObjectKey(agent.namespace, controller.name)
    owner = stores[RUNS].get(key) or stores[SERVERS].get(key)
    return owner is not None and owner.metadata.uid == controller.uid
