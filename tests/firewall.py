"""Whether a connection is let through, by the rules of networking.k8s.io/v1 as its API reference words them.

For clusters that store NetworkPolicies and enforce none. An ipBlock is held to match Pods by their address too, which
the API leaves open: so whatever is denied here is denied in the most generous implementation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Rule = Mapping[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Place:
    """An end of a connection. Without a namespace it is no Pod."""

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    named_ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Firewall:
    """All policies of a cluster. A namespace has the label of its name, and those of `labels`."""

    policies: tuple[Rule, ...]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def allows(self, source: Place, target: Place, port: int, protocol: str = "TCP") -> bool:
        """Both ends have to let it through; an end that no policy selects lets everything through."""
        return self._open("Egress", source, target, target, port, protocol) and self._open(
            "Ingress", target, source, target, port, protocol
        )

    def _open(self, way: str, own: Place, other: Place, target: Place, port: int, protocol: str) -> bool:
        chosen = [each for each in self.policies if _concerns(each, way, own)]
        rules = [rule for each in chosen for rule in each["spec"].get(way.lower()) or ()]
        peers = "to" if way == "Egress" else "from"
        return not chosen or any(
            _names_port(rule.get("ports"), target, port, protocol)
            and self._names_peer(rule.get(peers), own.namespace, other)
            for rule in rules
        )

    def _names_peer(self, peers: Iterable[Rule] | None, home: str, other: Place) -> bool:
        return not peers or any(self._is_peer(peer, home, other) for peer in peers)

    def _is_peer(self, peer: Rule, home: str, other: Place) -> bool:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            return _within(other, block["cidr"]) and not any(_within(other, each) for each in block.get("except", ()))
        if not other.namespace:
            return False
        if "namespaceSelector" in peer:
            labels = {NAME_LABEL: other.namespace, **self.labels.get(other.namespace, {})}
            if not _selects(peer["namespaceSelector"], labels):
                return False
        elif other.namespace != home:
            return False
        return _selects(peer.get("podSelector", {}), other.labels)


def _concerns(policy: Rule, way: str, own: Place) -> bool:
    spec = policy["spec"]
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
    same = bool(own.namespace) and policy["metadata"]["namespace"] == own.namespace
    return same and way in types and _selects(spec["podSelector"], own.labels)


def _names_port(ports: Iterable[Rule] | None, target: Place, port: int, protocol: str) -> bool:
    return not ports or any(_is_port(each, target, port, protocol) for each in ports)


def _is_port(rule: Rule, target: Place, port: int, protocol: str) -> bool:
    if rule.get("protocol", "TCP") != protocol:
        return False
    wanted = rule.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return target.named_ports.get(wanted) == port
    return bool(wanted <= port <= rule.get("endPort", wanted))


def _within(place: Place, cidr: str) -> bool:
    return ip_address(place.address) in ip_network(cidr)


def _selects(selector: Rule, labels: Mapping[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        _holds(each, labels) for each in selector.get("matchExpressions", ())
    )


def _holds(expression: Rule, labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", ())
    return {
        "In": labels.get(key) in values and key in labels,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]
