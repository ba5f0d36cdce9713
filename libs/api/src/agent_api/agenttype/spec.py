"""`AgentType` as a whole, and the rules that span its parts."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.agent import Agent
from agent_api.agenttype.kubernetes.autoscaling import Scaling
from agent_api.agenttype.kubernetes.security import PodSecurityContext
from agent_api.agenttype.memory import Memory
from agent_api.agenttype.observed.status import Status
from agent_api.agenttype.pod import Pod
from agent_api.agenttype.rule import ApiModel, Matches, Rule
from agent_api.agenttype.scalars import Cidr, DnsLabel, Url, is_network
from agent_api.agenttype.services import Llm
from agent_api.agenttype.tools import Tools
from agent_api.agenttype.workload import ResourcePlan, Workload
from agent_api.agenttype.workspace import Workspace

MEMORY_NAME_LENGTH = 45  # a StatefulSet's name and the hash of a revision are together the value of a label
NAME_LENGTH = 52  # a CronJob's limit: it appends 11 characters to name its Jobs

MetricName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Tracing(ApiModel):
    """Where traces go."""

    endpoint: Annotated[Url, Matches(r"https?://[^\s]+", "must be an http(s) address")] = Field(
        description="OTLP over HTTP, such as http://collector.monitoring:4318. Default: the platform's, if it has one."
    )


class Monitoring(ApiModel):
    """What is measured of the agent's Pods. With it, a cluster that has PodMonitors gets one for the agent."""

    enabled: bool = Field(default=True, description="false: nothing is made for the collection of metrics.")
    metrics: Annotated[tuple[MetricName, ...], Field(max_length=64)] = Field(
        default=(),
        description="Groups of the platform's metrics to keep, such as api_latency; empty keeps all.",
    )
    tracing: Tracing | None = None
    content: bool = Field(
        default=False,
        description="true: prompts, answers, arguments and results are kept with the recorded calls, redacted and cut.",
    )


class Egress(ApiModel):
    """Where the agent's Pods may connect to, beside DNS, public addresses and the servers that the spec names."""

    allowed_cidrs: Annotated[tuple[Cidr, ...], Field(max_length=64)] = Field(
        default=(),
        alias="allowedCIDRs",
        description="Networks, such as that of a database: every port. Metadata services of clouds stay closed.",
    )
    allowed_namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=64)] = Field(
        default=(), description="Namespaces, by name: every Pod and port of them."
    )

    rules: ClassVar = (
        Rule(
            message="allowedCIDRs has an entry that is not a network: write it as 10.0.0.0/8 or fd12::/16",
            reason="The API server would refuse the whole policy.",
            cel="!has(self.allowedCIDRs) || self.allowedCIDRs.all(c, isCIDR(c))",
            holds=lambda e: all(map(is_network, e.allowed_cidrs)),
            field="allowedCIDRs",
        ),
    )


class NetworkPolicy(ApiModel):
    """NetworkPolicies for the agent's Pods and its memory's. They are made whether or not this is written."""

    enabled: bool = Field(default=True, description="false: no policy is made; SecurityPosture says so.")
    allowed_namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=64)] = Field(
        default=(),
        description="Namespaces that may reach the agent's ports and scrape its sidecars; its own may reach the ports.",
    )
    egress: Egress | None = None


class Security(ApiModel):
    """Hardening of the agent's Pods."""

    profile: Literal["restricted", "baseline"] | None = Field(
        default=None,
        description="Of the agent container: baseline honours the image's own user and a writable root. "
        "Default: the platform's, which is restricted unless the installation says otherwise.",
    )
    network_policy: NetworkPolicy | None = None
    pod_security_context: PodSecurityContext | None = None


class Spec(ApiModel):
    """What the user wants."""

    suspend: bool = Field(default=False, description="true: no Pods; everything else is kept.")
    replicas: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default=None,
        description="Pods of a Deployment without scaling; also the scale subresource. Default 1.",
    )
    agent: Agent
    workload: Workload = Workload()
    pod: Pod | None = None
    workspace: Workspace | None = None
    resources: ResourcePlan = ResourcePlan()
    tools: Tools | None = None
    memory: Memory | None = None
    llm: Llm | None = None
    monitoring: Monitoring | None = None
    security: Security = Security()
    scaling: Scaling | None = None

    rules: ClassVar = (
        Rule(
            message="scaling and replicas are for a Deployment: a Job or CronJob decides its own Pods",
            reason="They would silently have no effect.",
            cel="!has(self.workload) || self.workload.kind == 'Deployment' "
            "|| (!has(self.scaling) && !has(self.replicas))",
            holds=lambda s: s.workload.kind == "Deployment" or (s.scaling is None and s.replicas is None),
            field="workload",
        ),
        Rule(
            message="scaling decides the number of Pods: remove replicas",
            reason="Two owners of one number would overwrite each other.",
            cel="!has(self.scaling) || !has(self.replicas)",
            holds=lambda s: s.scaling is None or s.replicas is None,
            field="replicas",
        ),
        Rule(
            message="inmemory memory is per Pod, so replicas would not share it: use type: redis or one replica",
            reason="Replicas would each see another memory.",
            cel="!has(self.memory) || self.memory.type != 'inmemory' || ("
            "(!has(self.scaling) || self.scaling.maxReplicas == 1) && (!has(self.replicas) || self.replicas <= 1))",
            holds=lambda s: (
                s.memory is None
                or s.memory.type != "inmemory"
                or ((s.scaling is None or s.scaling.max_replicas == 1) and (s.replicas or 1) <= 1)
            ),
            field="memory",
        ),
        Rule(
            message="a persistent workspace of one Pod at a time is for one replica: use accessMode: ReadWriteMany, "
            "or one replica",
            reason="The second Pod would wait for the claim for ever, or share a disk that only one may write.",
            cel="!has(self.workspace) || !self.workspace.persistent || (has(self.workspace.accessMode) && "
            "self.workspace.accessMode == 'ReadWriteMany') || ("
            "(!has(self.scaling) || self.scaling.maxReplicas == 1) && (!has(self.replicas) || self.replicas <= 1))",
            holds=lambda s: (
                s.workspace is None
                or s.workspace.shared
                or ((s.scaling is None or s.scaling.max_replicas == 1) and (s.replicas or 1) <= 1)
            ),
            field="workspace",
        ),
        Rule(
            message="a limit per run is for workload.kind Job or CronJob",
            reason="A Deployment has no runs, so the limit would never begin anew.",
            cel="!has(self.llm) || !has(self.llm.budget) || (has(self.workload) && self.workload.kind != 'Deployment') "
            "|| (!has(self.llm.budget.tokensPerRun) && !has(self.llm.budget.usdPerRun))",
            holds=lambda s: (
                s.workload.kind != "Deployment"
                or s.llm is None
                or s.llm.budget is None
                or (s.llm.budget.tokens_per_run is None and s.llm.budget.usd_per_run is None)
            ),
            field="llm",
        ),
        Rule(
            message="port 6379 belongs to the inmemory memory: choose another for the agent",
            reason="The sidecar listens there, and all containers of a Pod share its ports.",
            cel="!has(self.memory) || self.memory.type != 'inmemory' || !has(self.agent.ports) "
            "|| self.agent.ports.all(p, p.containerPort != 6379)",
            holds=lambda s: (
                s.memory is None or s.memory.type != "inmemory" or all(p.container_port != 6379 for p in s.agent.ports)
            ),
            field="agent",
        ),
        Rule(
            message="a writable root file system needs security.profile: baseline",
            reason="The profile asked for would silently not be kept.",
            cel="!has(self.agent.container) || !has(self.agent.container.securityContext) "
            "|| !has(self.agent.container.securityContext.readOnlyRootFilesystem) "
            "|| self.agent.container.securityContext.readOnlyRootFilesystem "
            "|| !has(self.security) || !has(self.security.profile) || self.security.profile != 'restricted'",
            holds=lambda s: s.security.profile != "restricted" or not _wants_writable_root(s.agent),
            field="security",
        ),
    )


def _wants_writable_root(agent: Agent) -> bool:
    context = agent.container.security_context if agent.container else None
    return context is not None and context.read_only_root_filesystem is False


class Metadata(ApiModel):
    """What Agentberth reads of an object's metadata."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class AgentType(ApiModel):
    """An AI agent that Kubernetes runs."""

    api_version: Literal["agents.example.com/v1"] = "agents.example.com/v1"
    kind: Literal["AgentType"] = "AgentType"
    metadata: Metadata
    spec: Spec
    status: Status | None = None

    rules: ClassVar = (
        Rule(
            message=f"metadata.name must be at most {NAME_LENGTH} characters: lower-case letters, digits and '-', "
            "starting with a letter, because Services and Jobs are named after it",
            reason="Kubernetes would refuse the objects that are named after it.",
            cel=f"self.metadata.name.size() <= {NAME_LENGTH} "
            "&& self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            holds=lambda a: _is_usable_name(a.metadata.name),
        ),
        Rule(
            message=f"metadata.name must be at most {MEMORY_NAME_LENGTH} characters with a redis of the agent's own",
            reason="Kubernetes labels the Pods of a StatefulSet with its name and a hash, and refuses longer labels.",
            cel=f"self.metadata.name.size() <= {MEMORY_NAME_LENGTH} || !has(self.spec.memory) "
            "|| self.spec.memory.type != 'redis' "
            "|| (has(self.spec.memory.config) && has(self.spec.memory.config.url))",
            holds=lambda a: (
                len(a.metadata.name) <= MEMORY_NAME_LENGTH or a.spec.memory is None or not a.spec.memory.own_server
            ),
        ),
    )


def _is_usable_name(name: Any) -> bool:  # noqa: ANN401 - straight from a manifest
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789-")
    return (
        isinstance(name, str)
        and 0 < len(name) <= NAME_LENGTH
        and set(name) <= allowed
        and name[0].isalpha()
        and name[-1] != "-"
    )
