"""What is kept of each object: the fields that decide, and nothing whose size somebody else could choose."""

import msgspec
from msgspec import Raw

from agent_api import layout
from agent_kube import ObjectModel


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


class ClaimTemplate(_Slim, frozen=True, gc=False):
    """A claim that a StatefulSet makes. Its metadata, which may be of any size, is not kept."""

    spec: ClaimSpec = ClaimSpec()


class ClaimObject(ObjectModel, frozen=True, gc=False):
    """A PersistentVolumeClaim."""

    spec: ClaimSpec = ClaimSpec()


class ServerSpec(_Slim, frozen=True, gc=False):
    """The parts of a StatefulSet that decide whether it can be changed."""

    replicas: int = 1
    volume_claim_templates: tuple[ClaimTemplate, ...] = ()


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
