"""`spec.agent`: the container or the code that is the agent, and what is prepared for it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api import layout
from agent_api.agenttype.environment import Environment, Sdk
from agent_api.agenttype.kubernetes.probes import PORT_NAME, Probes, is_port_name
from agent_api.agenttype.kubernetes.security import SecurityContext
from agent_api.agenttype.package import Package
from agent_api.agenttype.paths import OWNED_MESSAGE, MountPath, free, is_free
from agent_api.agenttype.rule import ApiModel, ListMap, Matches, Rule, cel_list
from agent_api.agenttype.scalars import Arguments, DnsLabel, Image, Runtime
from agent_api.agenttype.source import Code
from agent_api.agenttype.volumes import VolumeMounts, Volumes

PLATFORM_PORTS = (
    layout.LLMGATEWAY_PORT,
    layout.TOOLPROXY_PORT,
    layout.LLMGATEWAY_OPS_PORT,
    layout.TOOLPROXY_OPS_PORT,
)
PLATFORM_CONTAINERS = (*layout.PREPARING, layout.TOOLPROXY, layout.LLMGATEWAY, layout.MEMORY)

_NAMED_PORTS = tuple(
    f"has(self.probes.{probe}) && has(self.probes.{probe}.{action}) ? self.probes.{probe}.{action}.port : dyn('')"
    for probe in ("readiness", "liveness", "startup")
    for action in ("httpGet", "tcpSocket")
)

WorkingDir = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"/[^\n\r\x00]*", "must be an absolute path"),
]


class Port(ApiModel):
    """A port of the agent container; any port makes a Service of the AgentType's name."""

    name: Annotated[
        str,
        Field(description="Unique in the list; probes and the Service refer to it."),
        StringConstraints(min_length=1, max_length=15),
        Matches(
            PORT_NAME,
            "must be a port name: lower-case letters, digits and single '-', at most 15",
        ),
    ]
    container_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="Port the agent listens on; the Service has the same."
    )
    protocol: Literal["TCP", "UDP", "SCTP"] = Field(default="TCP", description="Transport protocol of the port.")

    rules: ClassVar = (
        Rule(
            message="the name of a port needs a letter",
            reason="Kubernetes would take it for a number, and refuse every Pod.",
            cel="self.name.matches('[a-z]')",
            holds=lambda p: is_port_name(p.name),
            field="name",
        ),
        Rule(
            message=f"ports {', '.join(map(str, PLATFORM_PORTS))} belong to the platform: choose another",
            reason="The sidecars listen there, and all containers of a Pod share its ports.",
            cel=f"!(self.containerPort in {cel_list(PLATFORM_PORTS)})",
            holds=lambda p: p.container_port not in PLATFORM_PORTS,
            field="containerPort",
        ),
    )


class Container(ApiModel):
    """The agent's own image."""

    image: Image | None = Field(
        default=None, description="With type code: used instead of the platform's runtime image."
    )
    pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="Default: Kubernetes' own, Always for :latest."
    )
    security_context: SecurityContext | None = None
    writable_paths: Annotated[tuple[MountPath, ...], Field(max_length=16)] = Field(
        default=(),
        description="Folders that get an emptyDir, for images that write to their own root file system.",
    )

    rules: ClassVar = (
        Rule(
            message=OWNED_MESSAGE,
            reason="A second mount over them would hide what was prepared, or break the container.",
            cel=f"!has(self.writablePaths) || self.writablePaths.all(p, {is_free('p')})",
            holds=lambda c: all(map(free, c.writable_paths)),
            field="writablePaths",
        ),
        Rule(
            message="writablePaths has a path twice: keep one of them",
            reason="The API server would refuse every Pod.",
            cel="!has(self.writablePaths) || self.writablePaths.all(a, self.writablePaths.exists_one(b, b == a))",
            holds=lambda c: len(set(c.writable_paths)) == len(c.writable_paths),
            field="writablePaths",
        ),
    )


class Agent(ApiModel):
    """The agent itself."""

    type: Literal["container", "code", "package"] = Field(
        default="container",
        description="container runs an image as it is; code runs source code, and package a program from PyPI or npm,"
        " in a runtime image of the platform.",
    )
    image: Image | None = Field(default=None, description="Shorthand for container.image.")
    name: DnsLabel = Field(default="agent", description="Name of the main container.")
    command: Arguments = Field(
        default=(), description="Default: the image's, the runtime with the entrypoint, or the package's."
    )
    args: Arguments = Field(default=(), description="Arguments after the command.")
    working_dir: WorkingDir | None = Field(
        default=None,
        description="Folder the agent starts in. Default: /shared/code for code, /workspace for a package,"
        " else the image's own.",
    )
    ports: Annotated[tuple[Port, ...], Field(max_length=16), ListMap("name")] = Field(
        default=(), description="Ports the agent serves. With any, a Service of the AgentType's name is made."
    )
    probes: Probes | None = None
    volumes: Volumes = Field(default=(), description="Volumes of the agent container; each is mounted somewhere.")
    volume_mounts: VolumeMounts = Field(default=(), description="Where the agent container sees its volumes.")
    container: Container | None = None
    code: Code | None = None
    package: Package | None = None
    environment: Environment | None = None

    rules: ClassVar = (
        Rule(
            message="an image is needed: set agent.image or agent.container.image, or use type: code with agent.code",
            reason="There would be nothing to start.",
            cel="self.type != 'container' || has(self.image) || (has(self.container) && has(self.container.image))",
            holds=lambda a: a.type != "container" or a.own_image is not None,
        ),
        Rule(
            message="agent.image and agent.container.image differ: keep one of them",
            reason="One of two images would silently win.",
            cel="!has(self.image) || !has(self.container) || !has(self.container.image) "
            "|| self.image == self.container.image",
            holds=lambda a: (
                a.image is None or a.container is None or a.container.image is None or a.image == a.container.image
            ),
            field="image",
        ),
        Rule(
            message="type: code needs agent.code with source and runtime",
            reason="There would be nothing to start.",
            cel="self.type != 'code' || has(self.code)",
            holds=lambda a: a.type != "code" or a.code is not None,
        ),
        Rule(
            message="agent.code is set but the type is another: set type: code",
            reason="The code would silently be left out.",
            cel="self.type == 'code' || !has(self.code)",
            holds=lambda a: a.type == "code" or a.code is None,
            field="code",
        ),
        Rule(
            message="type: package needs agent.package with pypi or npm",
            reason="There would be nothing to start.",
            cel="self.type != 'package' || has(self.__package__)",
            holds=lambda a: a.type != "package" or a.package is not None,
        ),
        Rule(
            message="agent.package is set but the type is another: set type: package",
            reason="The package would silently be left out.",
            cel="self.type == 'package' || !has(self.__package__)",
            holds=lambda a: a.type == "package" or a.package is None,
            field="package",
        ),
        Rule(
            message=f"the names {', '.join(PLATFORM_CONTAINERS)} belong to the platform's containers",
            reason="Two containers of a Pod cannot have one name.",
            cel=f"!(self.name in {cel_list(PLATFORM_CONTAINERS)})",
            holds=lambda a: a.name not in PLATFORM_CONTAINERS,
            field="name",
        ),
        Rule(
            message="environment.sdk needs a runtime: python or nodejs",
            reason="The installer, and the version packages are chosen for, depend on it.",
            cel="!has(self.environment) || !has(self.environment.sdk) || has(self.environment.sdk.runtime) "
            "|| has(self.code) || has(self.__package__)",
            holds=lambda a: a.sdk is None or a.sdk.runtime is not None or a.runtime is not None,
            field="environment",
        ),
        Rule(
            message="environment.sdk and code disagree about the runtime or its version: leave them out of sdk",
            reason="Packages would be installed for another interpreter than the one that runs.",
            cel="!has(self.code) || !has(self.environment) || !has(self.environment.sdk) || ("
            "(!has(self.environment.sdk.runtime) || self.environment.sdk.runtime == self.code.runtime) && "
            "(!has(self.environment.sdk.version) || !has(self.code.version) "
            "|| self.environment.sdk.version == self.code.version))",
            holds=lambda a: a.runtimes_agree,
            field="environment",
        ),
        Rule(
            message="environment.sdk and package disagree about the runtime or its version: leave them out of sdk",
            reason="Packages would be installed for another interpreter than the one that runs.",
            cel="!has(self.__package__) || !has(self.environment) || !has(self.environment.sdk) || ("
            "(!has(self.environment.sdk.runtime) "
            "|| (self.environment.sdk.runtime == 'nodejs') == has(self.__package__.npm)) && "
            "(!has(self.environment.sdk.version) || !has(self.__package__.version) "
            "|| self.environment.sdk.version == self.__package__.version))",
            holds=lambda a: a.package is None or _agree(a.package.runtime, a.package.version, a.sdk),
            field="environment",
        ),
        Rule(
            message="agent.ports has one containerPort twice: keep one of them, or use another protocol",
            reason="The Service has the same ports, and Kubernetes refuses one twice.",
            cel="!has(self.ports) || self.ports.all(a, self.ports.exists_one(b, "
            "b.containerPort == a.containerPort && b.protocol == a.protocol))",
            holds=lambda a: len({(p.container_port, p.protocol) for p in a.ports}) == len(a.ports),
            field="ports",
        ),
        Rule(
            message="a probe names a port that is not in agent.ports",
            reason="The kubelet would not find it, and the Pod would never be ready.",
            cel=f"!has(self.probes) || [{', '.join(_NAMED_PORTS)}].all(n, type(n) != string || n == '' "
            "|| (has(self.ports) && self.ports.exists(p, p.name == n)))",
            holds=lambda a: a.probes is None or a.probes.named_ports <= {p.name for p in a.ports},
            field="probes",
        ),
        Rule(
            message="volumeMounts names a volume that is not in agent.volumes",
            reason="Kubernetes would refuse the Pod.",
            cel="!has(self.volumeMounts) || self.volumeMounts.all(m, "
            "has(self.volumes) && self.volumes.exists(v, v.name == m.name))",
            holds=lambda a: {m.name for m in a.volume_mounts} <= {v.name for v in a.volumes},
            field="volumeMounts",
        ),
        Rule(
            message="agent.volumes has one that no volumeMounts entry shows: mount it or remove it",
            reason="It would silently have no effect.",
            cel="!has(self.volumes) || self.volumes.all(v, "
            "has(self.volumeMounts) && self.volumeMounts.exists(m, m.name == v.name))",
            holds=lambda a: {v.name for v in a.volumes} <= {m.name for m in a.volume_mounts},
            field="volumes",
        ),
        Rule(
            message="a path is both in container.writablePaths and in volumeMounts: keep one of them",
            reason="Kubernetes refuses two mounts at one path.",
            cel="!has(self.volumeMounts) || !has(self.container) || !has(self.container.writablePaths) "
            "|| self.volumeMounts.all(m, !(m.mountPath in self.container.writablePaths))",
            holds=lambda a: (
                a.container is None or {m.mount_path for m in a.volume_mounts}.isdisjoint(a.container.writable_paths)
            ),
            field="volumeMounts",
        ),
    )

    @property
    def own_image(self) -> str | None:
        """The image the manifest names, in either form."""
        return self.image or (self.container.image if self.container else None)

    @property
    def sdk(self) -> Sdk | None:
        """`environment.sdk`, or None."""
        return self.environment.sdk if self.environment else None

    @property
    def runtimes_agree(self) -> bool:
        """False when `environment.sdk` asks for another runtime or version than `code`."""
        return self.code is None or _agree(self.code.runtime, self.code.version, self.sdk)

    @property
    def runtime(self) -> Runtime | None:
        """What runs the agent's code or package; None for a container."""
        own = self.code or self.package
        return own.runtime if own else None

    @property
    def runtime_version(self) -> str | None:
        """The version that the author asks for."""
        own = self.code or self.package
        return own.version if own else None


def _agree(runtime: Runtime, version: str | None, sdk: Sdk | None) -> bool:
    if sdk is None:
        return True
    return sdk.runtime in {None, runtime} and (sdk.version is None or version is None or sdk.version == version)
