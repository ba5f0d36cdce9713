"""What an agent's Pod must connect to, read from its spec, so that nobody has to open it a second time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from agent_api.agenttype import AgentType, CustomTool
from agent_api.providers import PROVIDERS
from agent_api.toolsources import TOOL_SOURCES, package_of
from agent_render.initplan import package_runtime
from agent_render.parts.registryserver import source_of
from agent_render.settings import PlatformSettings

_PORTS = {"http": 80, "https": 443, "ssh": 22, "redis": 6379, "rediss": 6379}
_SEALED = frozenset({"https", "ssh", "rediss"})
_SCP = re.compile(r"[^/@:]+@(?P<host>[^/:]+):")


@dataclass(frozen=True, order=True)
class Endpoint:
    """A TCP server by the name in its address. `field` is where the spec, or the platform, names it.

    `git.forge` and `github.com` look the same. A name of two labels counts as public with https or ssh at its usual
    port, else as service.namespace; with encryption at another port it may be either. `.svc` at its end says which.
    """

    field: str
    host: str
    port: int
    scheme: str

    @property
    def namespace(self) -> str | None:
        """Namespace of a Service of this name; "" is the agent's own, None when it is public."""
        labels = self.host.split(".")
        if "svc" in labels[2:]:
            return labels[labels.index("svc", 2) - 1]
        if len(labels) > 2 or (len(labels) == 2 and self._is_usual):
            return None
        return labels[1] if len(labels) == 2 else ""

    @property
    def public(self) -> bool:
        """Whether the name can be one of the public DNS."""
        either = self.host.count(".") == 1 and self.scheme in _SEALED
        return self.namespace is None or either

    @property
    def _is_usual(self) -> bool:
        return self.scheme in {"https", "ssh"} and self.port == _PORTS[self.scheme]

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def endpoints(agent: AgentType, settings: PlatformSettings) -> tuple[Endpoint, ...]:
    """Every server that the spec names, sorted, each once by field and address; none of the Pod's own."""
    found = {_endpoint(field, url) for field, url in _addresses(agent, settings)}
    return tuple(sorted(one for one in found if one is not None))


def tool_networks(agent: AgentType, settings: PlatformSettings) -> tuple[str, ...]:
    """Networks beside the public ones that toolproxy may connect to: it looks at addresses, and knows no policy.

    What the spec opens; and the cluster's own when a tool is a Service, whose address nobody knows yet.
    """
    policy = agent.spec.security.network_policy
    opened = policy.egress.allowed_cidrs if policy and policy.egress else ()
    named = agent.spec.tools.policy.allowed_networks if agent.spec.tools else ()
    servers = [one for one in endpoints(agent, settings) if one.field.startswith("tools.") and not one.public]
    within = settings.network.cluster_cidrs if servers else ()
    return tuple(dict.fromkeys((*opened, *named, *within)))


def _addresses(agent: AgentType, settings: PlatformSettings) -> Iterator[tuple[str, str]]:
    spec = agent.spec
    for provider in spec.llm.providers if spec.llm else ():
        yield f"llm.providers.{provider.name}", provider.config.base_url or PROVIDERS[provider.type].address
    if spec.memory is not None and spec.memory.config.url:
        yield "memory.config.url", spec.memory.config.url
    if spec.monitoring is not None and spec.monitoring.tracing is not None:
        yield "monitoring.tracing", spec.monitoring.tracing.endpoint
    if spec.agent.code is not None:
        yield "agent.code.source", spec.agent.code.source.repository or ""
    yield "proxy.https", settings.proxy.https
    yield "proxy.http", settings.proxy.http
    yield from _of_tools(agent, settings)
    yield from _of_packages(agent, settings)


def _of_tools(agent: AgentType, settings: PlatformSettings) -> Iterator[tuple[str, str]]:
    tools = agent.spec.tools
    if tools is None:
        return
    own = {tool.name: (source_of(tool), *_authorization_servers(tool)) for tool in tools.custom}
    for name in dict.fromkeys((*tools.required, *tools.optional, *own)):
        entry = settings.catalogue.get(name)
        listed = (entry.source, *(artifact.url for artifact in entry.artifacts)) if entry else ()
        for source in own.get(name, listed):
            yield f"tools.{name}", _download(source, settings)


def _authorization_servers(tool: CustomTool) -> Iterator[str]:
    """Where the tokens of a server come from, when the spec says so."""
    oauth = (tool.config or {}).get("oauth")
    for name in ("issuer", "tokenUrl"):
        address = oauth.get(name) if isinstance(oauth, dict) else None
        if isinstance(address, str):
            yield address


def _download(source: str, settings: PlatformSettings) -> str:
    """The address behind a tool's source: that of its index, if it has one; what is in the Pod already has none."""
    package = package_of(source)
    return _index(package.partition(":")[0], settings) or package


def _of_packages(agent: AgentType, settings: PlatformSettings) -> Iterator[tuple[str, str]]:
    runtime = package_runtime(agent.spec.agent)
    if runtime is None:
        return
    yield "agent.environment.sdk", _index("npm" if runtime == "nodejs" else "pypi", settings)


def _index(name: str, settings: PlatformSettings) -> str:
    """Where packages of a kind of tool source come from; "" for a kind without an index."""
    kind = TOOL_SOURCES.get(name)
    if kind is None:
        return ""
    own: str = getattr(settings, kind.index_setting) if kind.index_setting else ""
    return own or kind.index


def _endpoint(field: str, url: str) -> Endpoint | None:
    """None for what is no address, and for the Pod itself."""
    copied = _SCP.match(url)
    if copied and "://" not in url:
        return Endpoint(field, copied["host"].lower(), _PORTS["ssh"], "ssh")
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None  # whoever connects says so, in the words of its own report
    host = (parts.hostname or "").rstrip(".")
    if not host or port is None or host in {"localhost", "::1"} or host.startswith("127."):
        return None
    return Endpoint(field, host, port, parts.scheme)
