"""Parts of Kubernetes' own API that an AgentType takes as they are: probes, security contexts, resources."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, Matches, Rule
from agent_api.agenttype.scalars import Arguments, IntOrString, QuantityValue, Text

HeaderName = Annotated[str, StringConstraints(max_length=128)]


class HttpHeader(ApiModel):
    """A header of an HTTP probe."""

    name: HeaderName
    value: Text


class HttpGetAction(ApiModel):
    """Probe by an HTTP GET: any status from 200 to 399 is healthy."""

    path: Annotated[str, StringConstraints(max_length=1024)] = "/"
    port: IntOrString
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    host: Annotated[str, StringConstraints(max_length=253)] | None = None
    http_headers: Annotated[tuple[HttpHeader, ...], Field(max_length=16)] = ()


class TcpSocketAction(ApiModel):
    """Probe by opening a connection."""

    port: IntOrString
    host: Annotated[str, StringConstraints(max_length=253)] | None = None


class ExecAction(ApiModel):
    """Probe by a command in the container: exit code 0 is healthy."""

    command: Arguments


class GrpcAction(ApiModel):
    """Probe by the gRPC health protocol."""

    port: Annotated[int, Field(ge=1, le=65535)]
    service: Annotated[str, StringConstraints(max_length=253)] | None = None


class Probe(ApiModel):
    """A Kubernetes probe, as in a Pod."""

    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    exec: ExecAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    period_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None
    success_threshold: Annotated[int, Field(ge=1, le=100)] | None = None
    failure_threshold: Annotated[int, Field(ge=1, le=1000)] | None = None
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] | None = None

    rules: ClassVar = (
        Rule(
            message="a probe needs exactly one of httpGet, tcpSocket, exec and grpc",
            cel="[has(self.httpGet), has(self.tcpSocket), has(self.exec), has(self.grpc)].filter(x, x).size() == 1",
            holds=lambda p: sum(a is not None for a in (p.http_get, p.tcp_socket, p.exec, p.grpc)) == 1,
        ),
    )


class Probes(ApiModel):
    """Probes of the agent container."""

    readiness: Probe | None = Field(default=None, description="Traffic and the Running phase wait for it.")
    liveness: Probe | None = Field(default=None, description="The container is restarted when it fails.")
    startup: Probe | None = Field(default=None, description="The other two wait for it.")


Capability = Annotated[str, StringConstraints(max_length=64)]


class Capabilities(ApiModel):
    """Linux capabilities. All are dropped by default."""

    add: Annotated[tuple[Capability, ...], Field(max_length=16)] = ()
    drop: Annotated[tuple[Capability, ...], Field(max_length=48)] = ()

    rules: ClassVar = (
        Rule(
            message="only NET_BIND_SERVICE may be added: agents run without privileges",
            cel="!has(self.add) || self.add.all(c, c == 'NET_BIND_SERVICE')",
            holds=lambda c: all(name == "NET_BIND_SERVICE" for name in c.add),
            field="add",
        ),
    )


class SeccompProfile(ApiModel):
    """Seccomp profile; RuntimeDefault unless a profile of the node is named."""

    type: Literal["RuntimeDefault", "Localhost"] = "RuntimeDefault"
    localhost_profile: Text | None = None


class SeLinuxOptions(ApiModel):
    """SELinux labels."""

    level: Text | None = None
    type: Text | None = None


UserId = Annotated[int, Field(ge=0, le=2147483647)]

_NOT_ROOT = (
    Rule(
        message="root is not allowed: use another runAsUser than 0",
        cel="!has(self.runAsUser) || self.runAsUser != 0",
        holds=lambda s: s.run_as_user != 0,
        field="runAsUser",
    ),
    Rule(
        message="runAsNonRoot cannot be switched off: agents never run as root",
        cel="!has(self.runAsNonRoot) || self.runAsNonRoot",
        holds=lambda s: s.run_as_non_root is not False,
        field="runAsNonRoot",
    ),
)


class SecurityContext(ApiModel):
    """Security context of the agent container. It can only ask for what the Pod's hardening allows."""

    run_as_user: UserId | None = None
    run_as_group: UserId | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = Field(default=None, description="false needs security.profile: baseline.")
    allow_privilege_escalation: bool | None = None
    privileged: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: SeccompProfile | None = None
    se_linux_options: SeLinuxOptions | None = None

    rules: ClassVar = (
        *_NOT_ROOT,
        Rule(
            message="privileged containers are not allowed",
            cel="!has(self.privileged) || !self.privileged",
            holds=lambda s: not s.privileged,
            field="privileged",
        ),
        Rule(
            message="privilege escalation is not allowed",
            cel="!has(self.allowPrivilegeEscalation) || !self.allowPrivilegeEscalation",
            holds=lambda s: not s.allow_privilege_escalation,
            field="allowPrivilegeEscalation",
        ),
    )


class PodSecurityContext(ApiModel):
    """Security context of the Pod, merged over the platform's own."""

    run_as_user: UserId | None = None
    run_as_group: UserId | None = None
    run_as_non_root: bool | None = None
    fs_group: UserId | None = Field(
        default=None, description="Group of the volumes. Default 10000, shared by all containers."
    )
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    supplemental_groups: Annotated[tuple[UserId, ...], Field(max_length=32)] = ()
    seccomp_profile: SeccompProfile | None = None
    se_linux_options: SeLinuxOptions | None = None

    rules: ClassVar = _NOT_ROOT


ResourceName = Annotated[
    str,
    StringConstraints(max_length=128),
    Matches(r"[a-zA-Z0-9][-./a-zA-Z0-9]*", "must be a resource name such as cpu, memory or nvidia.com/gpu"),
]
ResourceMap = Annotated[dict[Annotated[str, StringConstraints(max_length=128)], QuantityValue], Field(max_length=16)]


class Resources(ApiModel):
    """Requests and limits of one container; what is not set comes from the profile."""

    requests: ResourceMap = Field(default_factory=dict)
    limits: ResourceMap = Field(default_factory=dict)
