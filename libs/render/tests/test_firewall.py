"""The evaluator that the policies are judged by: what the API reference says of selectors, ports and blocks."""

from typing import Any

import pytest
from firewall import Firewall, Place

POD = Place("10.0.0.1", "here", {"app": "shop", "tier": "web"}, {"http": 8080})
BESIDE = Place("10.0.0.2", "here", {"app": "till"})
ELSEWHERE = Place("10.0.0.3", "there", {"app": "till"})
OUTSIDE = Place("192.0.2.1")


def policy(*ingress: dict[str, Any], selector: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "here"}, "spec": {"podSelector": selector or {}, "ingress": ingress, **spec}}


def test_without_a_policy_everything_is_open() -> None:
    assert Firewall(()).allows(OUTSIDE, POD, 1)


def test_an_empty_rule_opens_all_and_no_rule_nothing() -> None:
    assert Firewall((policy({}),)).allows(OUTSIDE, POD, 1)
    assert not Firewall((policy(),)).allows(BESIDE, POD, 1)
    assert Firewall((policy(policyTypes=["Egress"]),)).allows(OUTSIDE, POD, 1)
    assert not Firewall((policy(policyTypes=["Egress"]),)).allows(POD, OUTSIDE, 1)


def test_policies_add_up() -> None:
    closed, opened = policy(), policy({"from": [{"podSelector": {}}]})

    assert Firewall((closed, opened)).allows(BESIDE, POD, 1)


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    found = {"key": key, "operator": operator, **({"values": list(values)} if values else {})}
    return {"podSelector": {"matchExpressions": [found]}}


@pytest.mark.parametrize(
    "peer, beside, elsewhere, outside",
    [
        ({"podSelector": {"matchLabels": {"app": "till"}}}, True, False, False),
        ({"namespaceSelector": {}}, True, True, False),
        ({"namespaceSelector": {"matchLabels": {"team": "x"}}}, False, True, False),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "shop"}}}, False, False, False),
        ({"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/30"]}}, False, False, True),
        (expression("app", "In", "till"), True, False, False),
        (expression("app", "NotIn", "till"), False, False, False),
        (expression("tier", "DoesNotExist"), True, False, False),
        (expression("tier", "Exists"), False, False, False),
    ],
)  # fmt: skip
def test_peers(peer: dict[str, Any], *, beside: bool, elsewhere: bool, outside: bool) -> None:
    wall = Firewall((policy({"from": [peer]}),), {"there": {"team": "x"}})

    assert [wall.allows(source, POD, 1) for source in (BESIDE, ELSEWHERE, OUTSIDE)] == [beside, elsewhere, outside]


@pytest.mark.parametrize(
    "rule, opened",
    [
        ({"port": 8080}, [("TCP", 8080)]),
        ({"port": "http", "protocol": "TCP"}, [("TCP", 8080)]),
        ({"port": 8080, "endPort": 8081}, [("TCP", 8080), ("TCP", 8081)]),
        ({"protocol": "UDP"}, [("UDP", 8080), ("UDP", 8081), ("UDP", 9)]),
    ],
)
def test_ports(rule: dict[str, Any], opened: list[tuple[str, int]]) -> None:
    wall = Firewall((policy({"ports": [rule]}),))
    tried = [(protocol, port) for protocol in ("TCP", "UDP") for port in (8080, 8081, 9)]

    assert [each for each in tried if wall.allows(OUTSIDE, POD, each[1], each[0])] == opened
