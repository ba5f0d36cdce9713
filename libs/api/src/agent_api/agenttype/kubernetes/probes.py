"""Probes of the agent container, judged as Kubernetes judges them, and kept to the agent's own Pod."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, Matches, Rule
from agent_api.agenttype.scalars import Arguments, IntOrString, Text

HeaderName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Matches(r"[-A-Za-z0-9]+", "must be the name of a header: letters, digits and '-'"),
]
PORT_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
_NO_HOST = "a probe asks the agent's own Pod: leave host out, and put a virtual host into httpHeaders as Host"


def _no_host() -> Rule:
    return Rule(
        message=_NO_HOST,
        reason="The kubelet would ask another address from the node, past every network policy.",
        cel="!has(self.host)",
        holds=lambda action: action.host is None,
        field="host",
    )


def _is_port(port: int | str) -> bool:
    return 1 <= port <= 65535 if isinstance(port, int) else is_port_name(port)


def is_port_name(name: str) -> bool:
    """Whether Kubernetes takes `name` for that of a port."""
    return re.fullmatch(PORT_NAME, name) is not None and len(name) <= 15 and re.search("[a-z]", name) is not None


def _real_port() -> Rule:
    return Rule(
        message="port must be a number from 1 to 65535, without quotes, or the name of one of agent.ports",
        reason="The API server would refuse every Pod.",
        cel="type(self.port) == int ? self.port >= 1 && self.port <= 65535 "
        f": self.port.matches('^{PORT_NAME}$') && self.port.size() <= 15 && self.port.matches('[a-z]')",
        holds=lambda action: _is_port(action.port),
        field="port",
    )


class HttpHeader(ApiModel):
    """A header of an HTTP probe."""

    name: HeaderName = Field(description="Name of the header.")
    value: Text = Field(description="Value of the header.")


class HttpGetAction(ApiModel):
    """Probe by an HTTP GET: any status from 200 to 399 is healthy."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = Field(
        default="/", description="Path of the request."
    )
    port: IntOrString = Field(description="Port of the container: its number, or the name of one of agent.ports.")
    scheme: Literal["HTTP", "HTTPS"] = Field(
        default="HTTP", description="HTTPS is asked without checking the certificate."
    )
    host: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="Refused: the Pod's own address is asked."
    )
    http_headers: Annotated[tuple[HttpHeader, ...], Field(max_length=16)] = Field(
        default=(), description="Headers of the request."
    )

    rules: ClassVar = (_no_host(), _real_port())


class TcpSocketAction(ApiModel):
    """Probe by opening a connection."""

    port: IntOrString = Field(description="Port of the container: its number, or the name of one of agent.ports.")
    host: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="Refused: the Pod's own address is asked."
    )

    rules: ClassVar = (_no_host(), _real_port())


class ExecAction(ApiModel):
    """Probe by a command in the container: exit code 0 is healthy."""

    command: Annotated[Arguments, Field(min_length=1)] = Field(
        description="Program and arguments. No shell is involved."
    )


class GrpcAction(ApiModel):
    """Probe by the gRPC health protocol."""

    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        description="Port of the container, by number only: the kubelet takes no name here."
    )
    service: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="Name of the service that is asked for. Default: the server as a whole."
    )


class Probe(ApiModel):
    """A Kubernetes probe, as in a Pod."""

    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    exec: ExecAction | None = None
    grpc: GrpcAction | None = None
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] | None = Field(
        default=None, description="Wait before the first probe. Default: 0."
    )
    period_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None, description="From one probe to the next. Default: 10."
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None, description="Of one probe. Default: 1."
    )
    success_threshold: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="Successes in a row that make it healthy. Default: 1; liveness and startup take 1 only.",
    )
    failure_threshold: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="Failures in a row that make it unhealthy. Default: 3."
    )
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=3600)] | None = Field(
        default=None,
        description="Instead of the Pod's grace period when the probe kills the container; not for readiness.",
    )

    rules: ClassVar = (
        Rule(
            message="a probe needs exactly one of httpGet, tcpSocket, exec and grpc",
            reason="The kubelet could not tell which check decides.",
            cel="[has(self.httpGet), has(self.tcpSocket), has(self.exec), has(self.grpc)].filter(x, x).size() == 1",
            holds=lambda p: sum(a is not None for a in (p.http_get, p.tcp_socket, p.exec, p.grpc)) == 1,
        ),
    )

    @property
    def port_actions(self) -> tuple[HttpGetAction | TcpSocketAction, ...]:
        """What of it takes a port by name."""
        return tuple(action for action in (self.http_get, self.tcp_socket) if action is not None)


class Probes(ApiModel):
    """Probes of the agent container."""

    readiness: Probe | None = Field(default=None, description="Traffic and the Running phase wait for it.")
    liveness: Probe | None = Field(default=None, description="The container is restarted when it fails.")
    startup: Probe | None = Field(default=None, description="The other two wait for it.")

    rules: ClassVar = (
        Rule(
            message="successThreshold of a liveness or startup probe is 1",
            reason="The API server would refuse every Pod.",
            cel="(!has(self.liveness) || !has(self.liveness.successThreshold) || self.liveness.successThreshold == 1) "
            "&& (!has(self.startup) || !has(self.startup.successThreshold) || self.startup.successThreshold == 1)",
            holds=lambda p: all(probe.success_threshold in {None, 1} for probe in (p.liveness, p.startup) if probe),
        ),
        Rule(
            message="a readiness probe kills nothing, so it has no terminationGracePeriodSeconds",
            reason="The API server would refuse every Pod.",
            cel="!has(self.readiness) || !has(self.readiness.terminationGracePeriodSeconds)",
            holds=lambda p: p.readiness is None or p.readiness.termination_grace_period_seconds is None,
            field="readiness",
        ),
    )

    @property
    def named_ports(self) -> frozenset[str]:
        """Ports that the probes give by name."""
        actions = [
            action for probe in (self.readiness, self.liveness, self.startup) if probe for action in probe.port_actions
        ]
        return frozenset(action.port for action in actions if isinstance(action.port, str))
