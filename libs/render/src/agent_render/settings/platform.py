"""What the platform decides, as opposed to the author of an AgentType."""

from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent_api.agenttype import Pod
from agent_api.agenttype.kubernetes.resources import QUANTITY_PATTERN, amount_of
from agent_api.agenttype.rule import Matches
from agent_api.agenttype.scalars import DnsLabel, Image, Size
from agent_api.listprices import Price
from agent_api.model import Config
from agent_api.toolsconfig import ToolDefinition
from agent_render.settings.allowed import Allowed
from agent_render.settings.llm import LlmSettings
from agent_render.settings.network import Network
from agent_render.settings.outside import Proxy, Trust
from agent_render.settings.userids import UserIds

Amount = Annotated[str, Matches(QUANTITY_PATTERN, 'must be a Kubernetes quantity such as 500m, "2" or 1.5Gi')]
Index = Annotated[
    str,
    Matches(
        r"(https?://[^\s@/]+(/[^\s]*)?)?",
        "must be an http(s) address without user or password: those belong into the Secret that `indexSecret` names",
    ),
]


class Images(Config):
    """Images of the platform's own containers."""

    initenv: Image = "agent-initenv:0.1.0"
    toolproxy: Image = "agent-toolproxy:0.1.0"
    llmgateway: Image = "agent-llmgateway:0.1.0"
    memory: Image = "docker.io/library/redis:8-alpine"
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"


class RuntimeImage(Config):
    """The image that runs a code agent of one language."""

    image: str = Field(description="`{version}` is replaced by the version asked for.")
    default_version: str
    versions: dict[str, str] = Field(
        default_factory=dict, description="Image by version, such as one pinned by digest; wins over `image`."
    )
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]

    @model_validator(mode="after")
    def _knows_its_fields(self) -> Self:
        try:
            found = {name for _, name, _, _ in Formatter().parse(self.image) if name is not None}
        except ValueError as error:
            raise ValueError(f"image: {error}") from error
        if found - {"version"}:
            raise ValueError(f"image: only {{version}} is replaced, not {{{min(found - {'version'})}}}")
        return self


class Runtimes(Config):
    """The runtime table."""

    python: RuntimeImage = RuntimeImage(
        image="docker.io/library/python:{version}-slim",
        default_version="3.13",
        command=("python",),
        entrypoint=("main.py",),
    )
    nodejs: RuntimeImage = RuntimeImage(
        image="docker.io/library/node:{version}-slim",
        default_version="22",
        command=("node",),
        entrypoint=("index.js",),
    )


class ContainerSize(Config):
    """Requests and limits of one container, as Kubernetes quantities."""

    cpu: Amount
    memory: Amount
    cpu_limit: Amount | Literal[""] = Field(default="", description="Empty: no limit, an idle node's time can be used.")
    memory_limit: Amount

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for name, request, limit in (
            ("cpu", self.cpu, self.cpu_limit),
            ("memory", self.memory, self.memory_limit),
        ):
            if limit and amount_of(request) > amount_of(limit):
                raise ValueError(f"{name} {request} is more than its limit {limit}")
        return self


class Profile(Config):
    """Sizes of all containers of a Pod."""

    agent: ContainerSize
    init: ContainerSize = ContainerSize(cpu="100m", memory="256Mi", cpu_limit="2", memory_limit="1Gi")
    toolproxy: ContainerSize = ContainerSize(cpu="20m", memory="96Mi", cpu_limit="1", memory_limit="1Gi")
    llmgateway: ContainerSize = ContainerSize(cpu="20m", memory="96Mi", cpu_limit="1", memory_limit="256Mi")
    memory: ContainerSize = ContainerSize(cpu="20m", memory="64Mi", cpu_limit="500m", memory_limit="512Mi")


_PROFILES = {
    "small": Profile(agent=ContainerSize(cpu="100m", memory="256Mi", cpu_limit="1", memory_limit="512Mi")),
    "medium": Profile(agent=ContainerSize(cpu="500m", memory="1Gi", cpu_limit="2", memory_limit="2Gi")),
    "large": Profile(agent=ContainerSize(cpu="2", memory="4Gi", cpu_limit="4", memory_limit="8Gi")),
}


class PlatformSettings(Config):
    """Everything rendering needs beside the AgentType."""

    registry: str = Field(
        default="",
        pattern=r"^$|^[a-z0-9]+([.-][a-z0-9]+)*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$",
        max_length=255,
        description="Where all images of the platform come from, such as `mirror.example.com/hub`, in place of the"
        " host that each names; empty: as they are named.",
    )
    images: Images = Images()
    runtimes: Runtimes = Runtimes()
    profiles: dict[DnsLabel, Profile] = Field(
        default=_PROFILES,
        description="`spec.resources.profile` by name: beside small, medium and large any of the platform's own.",
    )
    security_profile: Literal["restricted", "baseline"] = Field(
        default="restricted", description="Of agent containers whose AgentType does not say."
    )
    user_ids: UserIds = UserIds()
    network: Network = Network()
    pod: Pod = Field(
        default=Pod(),
        description="Of all agents' Pods, in the fields of `spec.pod`: what an AgentType says there is laid over it.",
    )
    allowed: Allowed = Allowed()
    proxy: Proxy = Proxy()
    trust: Trust | None = Field(default=None, description="None: what the images bring.")
    python_index_url: Index = Field(default="", description="Package index for all agents; empty: the public one.")
    npm_registry: Index = Field(default="", description="npm registry for all agents; empty: the public one.")
    shared_size: Size = Field(default="2Gi", description="Limit of /shared where the AgentType does not say.")
    workspace_size: Size = Field(default="5Gi", description="Of /workspace where the AgentType does not say.")
    storage_class: str = Field(
        default="",
        max_length=253,
        description="Of claims that are made from now on, for workspaces and memories; empty: the cluster's default.",
    )
    tools_size: Size = Field(default="2Gi", description="Limit of /tools.")
    tmp_size: Size = Field(default="1Gi", description="Limit of each container's /tmp.")
    prices: dict[str, Price] = Field(default_factory=dict, description="By model, or provider/model; for budgets.")
    llm: LlmSettings = LlmSettings()
    catalogue: dict[str, ToolDefinition] = Field(default_factory=dict, description="The platform's tools, by name.")
    tracing_endpoint: str = Field(
        default="", description="OTLP/HTTP collector of agents that do not say; empty: their traces go nowhere."
    )
    pod_monitors: bool = Field(
        default=False,
        description="Whether the cluster has PodMonitors. The operator finds it out, whatever is said here; "
        "`agentberth render` goes by it.",
    )
    termination_grace_seconds: int = Field(default=30, ge=1, le=3600)
