"""The kinds that are cached, and how little of each is kept."""

import msgspec
from msgspec import Raw

from agent_api import layout
from agent_kube import ObjectKey, ObjectModel, PartialObject, Resource, Source
from agent_render.identity import AGENT_LABEL, MANAGER

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


class _Slim(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Base of the parts below: JSON names in camelCase, unknown fields skipped."""


class AgentObject(ObjectModel, frozen=True, gc=False):
    """An AgentType as the server has it; the spec is parsed when it is reconciled."""

    spec: Raw
    status: Raw = Raw(b"{}")


class StatusCondition(_Slim, frozen=True, gc=False):
    """A condition of a Deployment, Job or Pod."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class DeploymentSpec(_Slim, frozen=True, gc=False):
    """How many Pods are wanted, whoever decides it, and whether changes are held back."""

    replicas: int = 1
    paused: bool = False


class DeploymentStatus(_Slim, frozen=True, gc=False):
    """Counts as the deployment controller last saw them."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    conditions: tuple[StatusCondition, ...] = ()


class DeploymentObject(ObjectModel, frozen=True, gc=False):
    """A Deployment."""

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class Requests(_Slim, frozen=True, gc=False):
    """What a claim asks for."""

    storage: str = ""


class ClaimResources(_Slim, frozen=True, gc=False):
    """The part of a claim that may grow."""

    requests: Requests = Requests()


class ClaimSpec(_Slim, frozen=True, gc=False):
    """What a claim asks for: all of it was fixed when it was made, but a size that grows."""

    resources: ClaimResources = ClaimResources()
    storage_class_name: str = ""
    access_modes: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """As a quantity."""
        return self.resources.requests.storage


class ClaimObject(ObjectModel, frozen=True, gc=False):
    """A PersistentVolumeClaim, or the template of one."""

    spec: ClaimSpec = ClaimSpec()


class ServerSpec(_Slim, frozen=True, gc=False):
    """The parts of a StatefulSet that decide whether it can be changed."""

    replicas: int = 1
    volume_claim_templates: tuple[ClaimObject, ...] = ()


class ServerStatus(_Slim, frozen=True, gc=False):
    """Counts as the StatefulSet controller last saw them."""

    observed_generation: int = 0
    ready_replicas: int = 0


class ServerObject(ObjectModel, frozen=True, gc=False):
    """A StatefulSet: the server of a memory."""

    spec: ServerSpec = ServerSpec()
    status: ServerStatus = ServerStatus()

    @property
    def keeps(self) -> bool:
        """Whether it has a claim for its data."""
        return bool(self.spec.volume_claim_templates)

    @property
    def claim_size(self) -> str:
        """What its claim was made with; "" without one."""
        return self.spec.volume_claim_templates[0].spec.size if self.keeps else ""

    @property
    def claim_class(self) -> str:
        """Storage class that its claim was made with; "" for the cluster's own."""
        return self.spec.volume_claim_templates[0].spec.storage_class_name if self.keeps else ""


class ScaleTarget(_Slim, frozen=True, gc=False):
    """What an autoscaler scales."""

    kind: str = ""
    name: str = ""


class AutoscalerSpec(_Slim, frozen=True, gc=False):
    """The part of an autoscaler that says whose it is."""

    scale_target_ref: ScaleTarget = ScaleTarget()


class AutoscalerObject(ObjectModel, frozen=True, gc=False):
    """A HorizontalPodAutoscaler, of an agent or of somebody else."""

    spec: AutoscalerSpec = AutoscalerSpec()


class JobSpec(_Slim, frozen=True, gc=False):
    """The parts of a Job that may change after it was made."""

    suspend: bool = False
    ttl_seconds_after_finished: int | None = None


class JobCondition(StatusCondition, frozen=True, gc=False):
    """A Job's condition, with the time that tells when a failed Job ended."""

    last_transition_time: str = ""


class JobStatus(_Slim, frozen=True, gc=False):
    """How far a Job is."""

    active: int = 0
    ready: int = 0
    failed: int = 0
    completion_time: str = ""
    conditions: tuple[JobCondition, ...] = ()


class JobObject(ObjectModel, frozen=True, gc=False):
    """A Job, of an AgentType or of its CronJob."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()


class Waiting(_Slim, frozen=True, gc=False):
    """Why a container does not run yet."""

    reason: str = ""
    message: str = ""


class Terminated(_Slim, frozen=True, gc=False):
    """How a container ended. `message` is what it wrote itself: only initenv's is ever shown, of others a path."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""


class ContainerState(_Slim, frozen=True, gc=False):
    """At most one of the two; neither while it runs."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Slim, frozen=True, gc=False):
    """One container."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(_Slim, frozen=True, gc=False):
    """What the kubelet and the scheduler say."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[StatusCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class PodObject(ObjectModel, frozen=True, gc=False):
    """A Pod."""

    status: PodStatus = PodStatus()


class ConfigData(msgspec.Struct, frozen=True, gc=False):
    """The part of an agent's ConfigMap that cannot be rendered again."""

    pod_key: str = msgspec.field(default="", name=layout.POD_KEY)


class ConfigObject(ObjectModel, frozen=True, gc=False):
    """A ConfigMap of an agent."""

    data: ConfigData = ConfigData()


class ApprovalSpec(_Slim, frozen=True, gc=False):
    """The part of a ToolApproval that decides; the arguments are for persons."""

    request: str = ""
    hash: str = ""
    expires_at: str = ""
    decision: str = ""


class ApprovalStatus(_Slim, frozen=True, gc=False):
    """What became of it, and which waiting call it was given to."""

    state: str = ""
    request: str = ""


class ApprovalObject(ObjectModel, frozen=True, gc=False):
    """A call of a tool that waits for a person."""

    spec: ApprovalSpec = ApprovalSpec()
    status: ApprovalStatus = ApprovalStatus()


AGENTS = Source(AGENT_TYPES, AgentObject)
DEPLOYED = Source(DEPLOYMENTS, DeploymentObject, selector=_OURS)
RUNS = Source(JOBS, JobObject, selector=_OURS, labels=(AGENT_LABEL,))
SERVERS = Source(STATEFUL_SETS, ServerObject, selector=_OURS)
CLAIMS = Source(VOLUME_CLAIMS, ClaimObject, selector=_OURS)
SCHEDULES: Source[PartialObject] = Source(CRON_JOBS, selector=_OURS)
PODS_OF_AGENTS = Source(PODS, PodObject, selector=_OURS, labels=(AGENT_LABEL,))
SERVED: Source[PartialObject] = Source(SERVICES, selector=_OURS)
CONFIGURED = Source(CONFIG_MAPS, ConfigObject, selector=_OURS)
ACCOUNTS: Source[PartialObject] = Source(SERVICE_ACCOUNTS, selector=_OURS)
SCALED = Source(AUTOSCALERS, AutoscalerObject)  # everybody's: one on an agent's Deployment decides its number of Pods
GUARDED: Source[PartialObject] = Source(DISRUPTION_BUDGETS, selector=_OURS)
FENCED: Source[PartialObject] = Source(NETWORK_POLICIES, selector=_OURS)
MONITORED: Source[PartialObject] = Source(POD_MONITORS, selector=_OURS, optional=True)
APPROVALS = Source(TOOL_APPROVALS, ApprovalObject, selector=_OURS, labels=(AGENT_LABEL,), optional=True)

CHILDREN = (ACCOUNTS, CONFIGURED, FENCED, SERVED, DEPLOYED, SERVERS, RUNS, SCHEDULES, SCALED, GUARDED, MONITORED)
ALL = (AGENTS, *CHILDREN, PODS_OF_AGENTS, CLAIMS, APPROVALS)


def agent_of(child: ObjectModel) -> tuple[ObjectKey, ...]:
    """The AgentType whose label an object carries: Pods and the Jobs of a CronJob are not its own children."""
    name = child.metadata.labels.get(AGENT_LABEL)
    return (ObjectKey(child.metadata.namespace, name),) if name else ()
