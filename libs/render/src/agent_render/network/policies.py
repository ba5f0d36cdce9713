"""NetworkPolicies: who may reach an agent's Pods, and where these may connect to.

Policies add up, and one that selects a Pod closes everything it does not open. So there is one for the agent's Pods and
one for those of its memory, each with both directions.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_address

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.agenttype.spec import Egress, NetworkPolicy
from agent_render.endpoints import Endpoint, endpoints
from agent_render.identity import Identity, Manifest
from agent_render.network.addresses import EVERYWHERE, open_block, parse_block, peer
from agent_render.parts.placement import pod_settings
from agent_render.settings import PlatformSettings
from agent_render.settings.network import OPERATOR_NAMESPACE, Network

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
OPERATOR_LABELS = {"app.kubernetes.io/name": "agentberth-operator"}
DERIVED = f"{layout.GROUP}/derived-egress"
_ALLOWED = "security.networkPolicy.egress.allowedCIDRs"
_TOOL_NETWORKS = "tools.policy.allowedNetworks"
_FIRST_FREE_PORT = 1024
_ANNOTATION_BYTES = 16_384


def policies(agent: AgentType, settings: PlatformSettings) -> tuple[Manifest, ...]:
    """The agent's policy and its memory's; none when `security.networkPolicy.enabled` is false.

    Raises UnsupportedError for an opening into a network that the platform blocks.
    """
    asked = agent.spec.security.network_policy or NetworkPolicy()
    if not asked.enabled:
        return ()
    identity, found = Identity.of(agent), endpoints(agent, settings)
    spec = {
        "podSelector": {"matchLabels": identity.selector()},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(_ingress(agent, asked, settings.network)),
        "egress": list(_egress(agent, asked.egress or Egress(), settings, found)),
    }
    return (_manifest(identity, identity.name, "agent", spec, _told(found)), *_memory_policy(agent))


def _memory_policy(agent: AgentType) -> Iterator[Manifest]:
    """Only the agent's own Pods reach its memory, which itself connects to nothing."""
    memory, identity = agent.spec.memory, Identity.of(agent)
    if memory is None or not memory.own_server:
        return
    source = {"podSelector": {"matchLabels": identity.selector()}}
    spec = {
        "podSelector": {"matchLabels": identity.selector(layout.MEMORY)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [source], "ports": _tcp(layout.MEMORY_PORT)}],
    }
    yield _manifest(identity, identity.memory, layout.MEMORY, spec, {})


def _ingress(agent: AgentType, asked: NetworkPolicy, network: Network) -> Iterator[Manifest]:
    allowed = [_namespace(name) for name in asked.allowed_namespaces]
    ports = [{"port": port.container_port, "protocol": port.protocol} for port in agent.spec.agent.ports]
    if ports:
        yield {"from": [{"podSelector": {}}, *allowed], "ports": ports}
    operations = _operations_ports(agent)
    if operations:
        operator = {
            **_namespace(network.operator_namespace or OPERATOR_NAMESPACE),
            "podSelector": {"matchLabels": OPERATOR_LABELS},
        }
        named = set(asked.allowed_namespaces)
        scrapers = [_namespace(name) for name in network.monitoring_namespaces if name not in named]
        yield {"from": [operator, *scrapers, *allowed], "ports": _tcp(*operations)}


def _operations_ports(agent: AgentType) -> tuple[int, ...]:
    spec = agent.spec
    gateway = (layout.LLMGATEWAY_OPS_PORT,) if spec.llm else ()
    return (*gateway, layout.TOOLPROXY_OPS_PORT) if spec.tools else gateway


def _egress(
    agent: AgentType, asked: Egress, settings: PlatformSettings, found: Iterable[Endpoint]
) -> Iterator[Manifest]:
    network = settings.network
    yield from _dns(network)
    yield from _name_servers(agent, settings)
    named = [one for one in found if not _is_address(one.host)]
    yield from _public(network, {one.port for one in named if one.public})
    if agent.spec.memory is not None and agent.spec.memory.own_server:
        server = {"podSelector": {"matchLabels": Identity.of(agent).selector(layout.MEMORY)}}
        yield {"to": [server], "ports": _tcp(layout.MEMORY_PORT)}
    yield from _services(named)
    yield from _proxies(settings, found)
    blocked = network.blocked_cidrs
    for one in found:
        if _is_address(one.host):
            yield {"to": [open_block(one.host, one.field, blocked=blocked)], "ports": _tcp(one.port)}
    opened = [open_block(cidr, _ALLOWED, blocked=blocked) for cidr in asked.allowed_cidrs]
    if agent.spec.tools is not None:
        networks = agent.spec.tools.policy.allowed_networks
        opened += [open_block(cidr, _TOOL_NETWORKS, blocked=blocked) for cidr in networks]
    opened += [_namespace(name) for name in asked.allowed_namespaces]
    if opened:
        yield {"to": opened}


def _dns(network: Network) -> Iterator[Manifest]:
    dns = network.dns
    ports = [{"port": port, "protocol": protocol} for port in dns.ports for protocol in ("UDP", "TCP")]
    yield {"to": [{**_namespace(dns.namespace), "podSelector": {"matchLabels": dict(dns.pod_labels)}}], "ports": ports}
    if dns.cidrs:
        to = [peer(parse_block(each, "network.dns.cidrs"), ()) for each in dns.cidrs]
        yield {"to": to, "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}


def _name_servers(agent: AgentType, settings: PlatformSettings) -> Iterator[Manifest]:
    """Those of `pod.dnsConfig`."""
    config, blocked = pod_settings(agent, settings).dns_config, settings.network.blocked_cidrs
    to = [
        open_block(one, "pod.dnsConfig.nameservers", blocked=blocked) for one in (config.nameservers if config else ())
    ]
    if to:
        yield {"to": to, "ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}


def _proxies(settings: PlatformSettings, found: Iterable[Endpoint]) -> Iterator[Manifest]:
    """The platform's proxies where these have private addresses."""
    ports = sorted({one.port for one in found if one.field.startswith("proxy.")})
    if ports and settings.proxy.networks:
        to = [peer(parse_block(each, "proxy.networks"), ()) for each in settings.proxy.networks]
        yield {"to": to, "ports": _tcp(*ports)}


def _public(network: Network, derived: set[int]) -> Iterator[Manifest]:
    """Public addresses alone, at the platform's ports and those that the spec's public names have."""
    ports = sorted({*network.public_ports, *derived})
    if ports:
        yield {"to": _everywhere_but((*network.private_cidrs, *network.blocked_cidrs)), "ports": _tcp(*ports)}


def _everywhere_but(closed: tuple[str, ...]) -> list[Manifest]:
    return [{"ipBlock": dict(each)} for each in _blocks_without(closed)]


@lru_cache(maxsize=8)
def _blocks_without(closed: tuple[str, ...]) -> tuple[Manifest, ...]:
    """The same for all agents of a platform, and most of the work of their policies."""
    networks = [parse_block(each, "network") for each in closed]
    return tuple(peer(parse_block(each, ""), networks)["ipBlock"] for each in EVERYWHERE)


def _services(named: Iterable[Endpoint]) -> Iterator[Manifest]:
    """A rule for each namespace and port.

    A policy sees the Pod's port, not the Service's. A Service's port below 1024 is hardly ever its Pods', who may not
    listen there without a capability, so then every port of that namespace is opened.
    """
    servers = sorted({(one.namespace, one.port) for one in named if one.namespace is not None})
    for namespace, port in servers:
        to = _namespace(namespace) if namespace else {"podSelector": {}}
        yield {"to": [to], "ports": _tcp(port) if port >= _FIRST_FREE_PORT else [{"protocol": "TCP"}]}


def _namespace(name: str) -> Manifest:
    return {"namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: name}}}


def _tcp(*ports: int) -> list[Manifest]:
    return [{"port": port, "protocol": "TCP"} for port in ports]


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _told(found: Iterable[Endpoint]) -> dict[str, str]:
    """Why the rules are there, for whoever describes the policy. An annotation may not grow without bound."""
    text = "\n".join(f"{one.field} {one}" for one in found)
    return {DERIVED: text[:_ANNOTATION_BYTES]} if text else {}


def _manifest(identity: Identity, name: str, component: str, spec: Manifest, annotations: dict[str, str]) -> Manifest:
    """Without the rules of a direction nothing is open in it; an empty list is not what the server would keep."""
    metadata = identity.metadata(name, component)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {**metadata, "annotations": annotations} if annotations else metadata,
        "spec": {key: value for key, value in spec.items() if value != []},
    }
