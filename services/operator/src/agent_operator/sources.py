"""The kinds that are cached, and which objects, labels and annotations of each are kept."""

from typing import Final

from agent_api import layout
from agent_api.agenttype.revisions import REVISION_LABEL
from agent_kube import ObjectKey, ObjectModel, PartialObject, Resource, Source
from agent_operator.objects import (
    AgentObject,
    ApprovalObject,
    AutoscalerObject,
    ClaimObject,
    ConfigObject,
    DeploymentObject,
    JobObject,
    PodObject,
    ServerObject,
)
from agent_render.identity import AGENT_LABEL, COMPONENT_LABEL, MANAGER

_OURS = f"app.kubernetes.io/managed-by={MANAGER}"

AGENT_TYPES = Resource(layout.GROUP, layout.VERSION, "agenttypes", layout.KIND)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
JOBS = Resource("batch", "v1", "jobs", "Job")
CRON_JOBS = Resource("batch", "v1", "cronjobs", "CronJob")
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
STATEFUL_SETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SECRETS = Resource("", "v1", "secrets", "Secret")  # made and never read
AUTOSCALERS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
DISRUPTION_BUDGETS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
POD_MONITORS = Resource("monitoring.coreos.com", "v1", "podmonitors", "PodMonitor")
TOOL_APPROVALS = Resource(layout.GROUP, layout.VERSION, "toolapprovals", "ToolApproval")
CORE_EVENTS = Resource("", "v1", "events", "Event")
REPLICA_SETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
REVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")

HANDED_OVER: Final = "agents.example.com/replicas"
"""Annotation of a Deployment whose number of Pods is left to somebody else."""

_MAKERS = frozenset({"ReplicaSet", "StatefulSet", "Job"})
_KEY_CHARS = 256
_NAME_CHARS = 253


def _is_made(pod: PodObject) -> bool:
    """Whether a workload made it: a Pod that somebody gave the labels of an agent is not even kept."""
    controller = pod.metadata.controller
    return controller is not None and controller.kind in _MAKERS


AGENTS = Source(AGENT_TYPES, AgentObject, kept=())
DEPLOYED = Source(DEPLOYMENTS, DeploymentObject, selector=_OURS, kept=(HANDED_OVER,))
JOB_SOURCE = Source(JOBS, JobObject, selector=_OURS, labels=(AGENT_LABEL,), kept=())
STATEFULSET_SOURCE = Source(STATEFUL_SETS, ServerObject, selector=_OURS, kept=())
CLAIMS = Source(VOLUME_CLAIMS, ClaimObject, selector=_OURS, kept=(AGENT_LABEL,))
SCHEDULES: Source[PartialObject] = Source(CRON_JOBS, selector=_OURS)
REPLICATED: Source[PartialObject] = Source(REPLICA_SETS, selector=_OURS, labels=(AGENT_LABEL,))
PODS_OF_AGENTS = Source(PODS, PodObject, selector=_OURS, labels=(AGENT_LABEL,), kept=(COMPONENT_LABEL,), keeps=_is_made)
SERVED: Source[PartialObject] = Source(SERVICES, selector=_OURS)
CONFIGURED = Source(
    CONFIG_MAPS, ConfigObject, selector=_OURS, kept=(), keeps=lambda found: len(found.data.pod_key) <= _KEY_CHARS
)
ACCOUNTS: Source[PartialObject] = Source(SERVICE_ACCOUNTS, selector=_OURS)
SCALED = Source(  # everybody's: one on an agent's Deployment decides its number of Pods
    AUTOSCALERS, AutoscalerObject, kept=(), keeps=lambda found: len(found.spec.scale_target_ref.name) <= _NAME_CHARS
)
KEPT: Source[PartialObject] = Source(REVISIONS, selector=_OURS, kept=(REVISION_LABEL,))
GUARDED: Source[PartialObject] = Source(DISRUPTION_BUDGETS, selector=_OURS)
FENCED: Source[PartialObject] = Source(NETWORK_POLICIES, selector=_OURS)
MONITORED: Source[PartialObject] = Source(POD_MONITORS, selector=_OURS, optional=True)
APPROVALS = Source(TOOL_APPROVALS, ApprovalObject, selector=_OURS, labels=(AGENT_LABEL,), kept=(), optional=True)

CHILDREN = (
    ACCOUNTS,
    CONFIGURED,
    FENCED,
    SERVED,
    DEPLOYED,
    STATEFULSET_SOURCE,
    JOB_SOURCE,
    SCHEDULES,
    SCALED,
    GUARDED,
    MONITORED,
)
ALL = (AGENTS, *CHILDREN, REPLICATED, PODS_OF_AGENTS, CLAIMS, KEPT, APPROVALS)


def agent_of(child: ObjectModel) -> tuple[ObjectKey, ...]:
    """The AgentType whose label an object carries: Pods and the Jobs of a CronJob are not its own children."""
    name = child.metadata.labels.get(AGENT_LABEL)
    return (ObjectKey(child.metadata.namespace, name),) if name else ()
