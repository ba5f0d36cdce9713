"""The platform's proxies and authorities reach every container of ours and the agent, and nothing else changes."""

from typing import Any

import pytest

from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render import PlatformSettings, SettingsError, parse_settings, pod_template, render

PROXY = "http://proxy.company.example:3128"
COMPANY = parse_settings(
    {
        "proxy": {
            "https": PROXY,
            "http": PROXY,
            "noProxy": ["10.0.0.0/8", ".company.example"],
            "networks": ["10.1.0.0/24"],
        },
        "trust": {"configMap": "authorities"},
    }
)
_IDENTITY = {"AGENT_NAME", "AGENT_NAMESPACE", "AGENT_RUN_ID"}
WHOLE = {
    "tools": {"required": ["git"]},
    "memory": {"type": "inmemory", "size": "64Mi"},
    "llm": {"providers": [{"name": "main", "type": "mock"}]},
}


def agent(*variables: dict[str, str]) -> AgentType:
    environment = {"files": [{"path": "f", "content": "x"}], "variables": list(variables)}
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "a", "environment": environment}, **WHOLE},
        }
    )
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def containers(found: AgentType, settings: PlatformSettings = COMPANY) -> dict[str, dict[str, Any]]:
    pod = pod_template(found, settings)["spec"]
    return {one["name"]: one for one in (*pod["initContainers"], *pod["containers"])}


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container.get("env", ())}


@pytest.mark.parametrize("name", ["initenv", "toolproxy", "llmgateway", "agent"])
def test_each_program_gets_the_way_out_and_the_authorities(name: str) -> None:
    container = containers(agent())[name]
    found = variables(container)

    assert {found[key] for key in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")} == {PROXY}
    assert found["NO_PROXY"] == found["no_proxy"]
    assert found["NO_PROXY"].split(",")[:3] == ["localhost", "127.0.0.1", "::1"]
    assert found["NO_PROXY"].endswith(",10.0.0.0/8,.company.example")
    assert found["SSL_CERT_FILE"] == found["GIT_SSL_CAINFO"] == "/etc/ssl/agentberth/ca.crt"
    assert {"name": "trust", "mountPath": "/etc/ssl/agentberth", "readOnly": True} in container["volumeMounts"]


def test_a_platform_without_them_changes_nothing() -> None:
    for container in containers(agent(), PlatformSettings()).values():
        assert variables(container).keys().isdisjoint(variables(containers(agent())["llmgateway"]).keys() - _IDENTITY)
        assert "trust" not in [mount["name"] for mount in container["volumeMounts"]]


def test_an_agents_own_exceptions_are_added_and_its_own_proxy_wins() -> None:
    own = ({"name": "HTTPS_PROXY", "value": "http://mine:1"}, {"name": "NO_PROXY", "value": "db.internal"})

    found = variables(containers(agent(*own))["agent"])

    assert found["HTTPS_PROXY"] == "http://mine:1"
    assert found["NO_PROXY"].startswith("localhost,127.0.0.1,")
    assert found["NO_PROXY"].endswith(",db.internal")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
def test_an_agent_with_a_proxy_of_its_own_still_reaches_its_sidecars(name: str) -> None:
    found = variables(containers(agent({"name": name, "value": "http://mine:1"}), PlatformSettings())["agent"])

    assert "127.0.0.1" in found["NO_PROXY"].split(",")
    assert "127.0.0.1" in found["no_proxy"].split(",")


def test_the_policy_opens_the_proxys_port_where_the_proxy_is() -> None:
    (policy,) = (m for m in render(agent(), COMPANY) if m["kind"] == "NetworkPolicy")

    opened = [rule for rule in policy["spec"]["egress"] if {"ipBlock": {"cidr": "10.1.0.0/24"}} in rule["to"]]

    assert [rule["ports"] for rule in opened] == [[{"port": 3128, "protocol": "TCP"}]]


@pytest.mark.parametrize(
    "address,words",
    [("proxy:3128", "must be the address of a proxy"), ("http://u:p@proxy:1", "must not hold a user and password")],
)
def test_an_address_that_no_pod_may_have_is_refused(address: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse_settings({"proxy": {"https": address}})
