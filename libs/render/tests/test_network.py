"""Who reaches whom with the rendered policies in force, by an evaluation of their rules."""

import json
from typing import Any

import pytest
from firewall import Firewall, Place
from pydantic import ValidationError

from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render import PlatformSettings, UnsupportedError, render
from agent_render.endpoints import endpoints
from agent_render.identity import Identity
from agent_render.network.policies import DERIVED
from agent_render.posture import weaknesses
from agent_render.settings.network import CLUSTER_CIDRS

SETTINGS = PlatformSettings()
CODE = {"runtime": "python", "source": {"type": "git", "repository": "https://github.com/team/code"}}
SPEC: dict[str, Any] = {
    "agent": {
        "type": "code",
        "code": CODE,
        "ports": [{"name": "http", "containerPort": 8080}],
        "environment": {"sdk": {"packages": ["requests"]}},
    },
    "tools": {"custom": [{"name": "chart", "source": "mcp+https://charts.tools.svc.cluster.local:8443/mcp"}]},
    "memory": {"type": "redis"},
    "llm": {
        "providers": [
            {"name": "near", "type": "openai-compatible", "config": {"baseUrl": "http://vllm.models:8000/v1"}},
            {"name": "beside", "type": "openai-compatible", "config": {"baseUrl": "http://ollama:11434/v1"}},
            {"name": "low", "type": "openai-compatible", "config": {"baseUrl": "http://proxy.edge.svc/v1"}},
            {"name": "fixed", "type": "openai-compatible", "config": {"baseUrl": "http://10.9.8.7:8000/v1"}},
            {"name": "far", "type": "openai-compatible", "config": {"baseUrl": "https://api.example.com:9443/v1"}},
        ]
    },
    "monitoring": {"tracing": {"endpoint": "http://collector.telemetry:4318"}},
    "security": {
        "networkPolicy": {
            "allowedNamespaces": ["default", "ingress"],
            "egress": {"allowedCIDRs": ["10.20.0.0/16"], "allowedNamespaces": ["data"]},
        }
    },
}


def parse(name: str = "web", **spec: Any) -> AgentType:
    document = {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": name, "namespace": "agents"},
        "spec": {"agent": {"image": "nginx:1.27"}, **spec},
    }
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def policies(*agents: AgentType, settings: PlatformSettings = SETTINGS) -> tuple[dict[str, Any], ...]:
    return tuple(m for agent in agents for m in render(agent, settings) if m["kind"] == "NetworkPolicy")


def pod_of(agent: AgentType, address: str, component: str = "agent") -> Place:
    return Place(address, "agents", Identity.of(agent).labels(component))


AGENT, PLAIN = parse(**SPEC), parse("plain")
WALL = Firewall(policies(AGENT, PLAIN))
OPERATOR = Place("10.244.9.1", "agentberth-system", {"app.kubernetes.io/name": "agentberth-operator"})
PLACES = {
    "agent": pod_of(AGENT, "10.244.0.1"),
    "its other replica": pod_of(AGENT, "10.244.0.2"),
    "its memory": pod_of(AGENT, "10.244.0.3", "memory"),
    "another agent": pod_of(PLAIN, "10.244.0.4"),
    "another agent's memory": pod_of(parse("third"), "10.244.0.5", "memory"),
    "a Pod beside it": Place("10.244.0.6", "agents", {"app": "shop"}),
    "operator": OPERATOR,
    "a Pod beside the operator": Place("10.244.9.2", "agentberth-system", {"app": "x"}),
    "scraper": Place("10.244.8.1", "monitoring"),
    "allowed namespace": Place("10.244.7.1", "ingress"),
    "another namespace": Place("10.244.6.1", "other"),
    "dns": Place("10.244.5.1", "kube-system", {"k8s-app": "kube-dns"}),
    "a Pod beside dns": Place("10.244.5.2", "kube-system", {"k8s-app": "metrics"}),
    "api server": Place("10.96.0.1"),
    "node": Place("192.168.1.10"),
    "models": Place("10.244.4.1", "models"),
    "edge": Place("10.244.4.2", "edge"),
    "tools": Place("10.244.4.3", "tools"),
    "telemetry": Place("10.244.4.4", "telemetry"),
    "data": Place("10.244.4.5", "data"),
    "fixed": Place("10.9.8.7"),
    "beside fixed": Place("10.9.8.8"),
    "database": Place("10.20.3.4"),
    "public": Place("93.184.216.34"),
    "public v6": Place("2606:2800:220:1::1"),
    "private v6": Place("fd12::1"),
}


@pytest.mark.parametrize(
    "source, target, port, allowed",
    [
        ("a Pod beside it", "agent", 8080, True),
        ("allowed namespace", "agent", 8080, True),
        ("another namespace", "agent", 8080, False),
        ("scraper", "agent", 8080, False),
        ("operator", "agent", 8080, False),
        ("public", "agent", 8080, False),
        ("a Pod beside it", "agent", 8081, False),
        ("allowed namespace", "agent", 8081, False),
        ("operator", "agent", 9801, True),
        ("operator", "agent", 9802, True),
        ("scraper", "agent", 9801, True),
        ("allowed namespace", "agent", 9802, True),
        ("a Pod beside the operator", "agent", 9801, False),
        ("a Pod beside it", "agent", 9801, False),
        ("another agent", "agent", 9802, False),
        ("another agent", "agent", 8080, False),
        ("operator", "another agent", 9801, False),
        ("agent", "its memory", 6379, True),
        ("its other replica", "its memory", 6379, True),
        ("agent", "its memory", 6380, False),
        ("a Pod beside it", "its memory", 6379, False),
        ("another agent", "its memory", 6379, False),
        ("operator", "its memory", 6379, False),
        ("agent", "another agent's memory", 6379, False),
        ("its memory", "public", 443, False),
        ("its memory", "dns", 53, False),
        ("agent", "models", 8000, True),
        ("agent", "models", 8001, False),
        ("another agent", "models", 8000, False),
        ("agent", "a Pod beside it", 11434, True),
        ("agent", "a Pod beside it", 11435, False),
        ("agent", "edge", 8080, True),
        ("agent", "tools", 8443, True),
        ("agent", "tools", 80, False),
        ("agent", "telemetry", 4318, True),
        ("agent", "telemetry", 4317, False),
        ("agent", "fixed", 8000, True),
        ("agent", "fixed", 22, False),
        ("agent", "beside fixed", 8000, False),
        ("agent", "database", 5432, True),
        ("another agent", "database", 5432, False),
        ("agent", "data", 5432, True),
        ("another agent", "data", 5432, False),
        ("agent", "public", 443, True),
        ("agent", "public", 80, True),
        ("agent", "public", 9443, True),
        ("another agent", "public", 9443, False),
        ("agent", "public", 22, False),
        ("agent", "public", 8000, False),
        ("agent", "public v6", 443, True),
        ("agent", "private v6", 443, False),
        ("agent", "api server", 443, False),
        ("agent", "node", 443, False),
        ("agent", "another agent", 443, False),
        ("agent", "another namespace", 443, False),
        ("agent", "operator", 9800, False),
        ("agent", "a Pod beside dns", 53, False),
    ],
)  # fmt: skip
def test_who_reaches_whom(source: str, target: str, port: int, allowed: bool) -> None:
    assert WALL.allows(PLACES[source], PLACES[target], port) is allowed


@pytest.mark.parametrize("protocol", ["UDP", "TCP"])
def test_every_agent_may_ask_the_clusters_name_servers_and_no_other(protocol: str) -> None:
    for agent in ("agent", "another agent"):
        assert WALL.allows(PLACES[agent], PLACES["dns"], 53, protocol)
        assert not WALL.allows(PLACES[agent], PLACES["public"], 53, protocol)


METADATA = (
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe", "64:ff9b::a9fe:a9fe",
)  # fmt: skip


@pytest.mark.parametrize("address", METADATA)
@pytest.mark.parametrize(
    "cidrs", [[], ["0.0.0.0/0", "::/0"], ["169.0.0.0/8", "100.64.0.0/10", "fd00::/8", "64:ff9b::/96"]]
)
def test_metadata_services_are_closed_whatever_an_agent_opens(address: str, cidrs: list[str]) -> None:
    agent = parse(security={"networkPolicy": {"egress": {"allowedCIDRs": cidrs}}})
    wall = Firewall(policies(agent))

    for port in (80, 443, 8080):
        assert not wall.allows(pod_of(agent, "10.244.0.1"), Place(address), port)


@pytest.mark.parametrize("cidr", ["169.254.169.254/32", "169.254.0.0/16", "fd00:ec2::254/128"])
def test_metadata_service_cannot_be_opened_by_name(cidr: str) -> None:
    agent = parse(security={"networkPolicy": {"egress": {"allowedCIDRs": [cidr]}}})

    with pytest.raises(UnsupportedError, match=r"which the platform blocks for all agents \(network.blockedCidrs\)"):
        render(agent, SETTINGS)


def test_a_provider_at_a_metadata_address_is_refused_with_its_field() -> None:
    config = {"baseUrl": "http://169.254.169.254/v1"}
    agent = parse(llm={"providers": [{"name": "sly", "type": "openai-compatible", "config": config}]})

    with pytest.raises(UnsupportedError, match=r"llm\.providers\.sly: 169\.254\.169\.254 is within 169\.254\.0\.0/16"):
        render(agent, SETTINGS)


def test_the_platform_decides_which_addresses_are_blocked() -> None:
    settings = PlatformSettings.model_validate({"network": {"blockedCidrs": ["192.0.0.192/32"]}})
    agent = parse(security={"networkPolicy": {"egress": {"allowedCIDRs": ["169.254.170.23/32"]}}})

    wall = Firewall(policies(agent, settings=settings))

    assert wall.allows(pod_of(agent, "10.244.0.1"), Place("169.254.170.23"), 80)
    assert not Firewall(policies(parse(), settings=settings)).allows(
        pod_of(parse(), "10.244.0.1"), Place("169.254.170.23"), 8080
    )


@pytest.mark.parametrize(
    "network, fault",
    [
        ({"blockedCidrs": ["169.254.0.0"], "privateCidrs": ["10.0.0.0/33"]}, "privateCidrs.0"),
        ({"dns": {"cidrs": ["node"]}}, "dns.cidrs.0"),
        ({"publicPorts": [0]}, "publicPorts.0"),
    ],
)
def test_a_wrong_platform_is_refused_before_any_agent(network: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PlatformSettings.model_validate({"network": network})

    assert f"network.{fault}" in {".".join(map(str, each["loc"])) for each in refusal.value.errors()}


def test_without_public_ports_only_the_spec_opens_the_internet() -> None:
    settings = PlatformSettings.model_validate({"network": {"publicPorts": []}})
    models = {"providers": [{"name": "main", "type": "openai", "credentialsSecret": "key"}]}
    plain, asking = parse(), parse("asking", llm=models)
    wall = Firewall(policies(plain, asking, settings=settings))

    assert not wall.allows(pod_of(plain, "10.244.0.1"), PLACES["public"], 443)
    assert wall.allows(pod_of(asking, "10.244.0.1"), PLACES["public"], 443)
    assert not wall.allows(pod_of(asking, "10.244.0.1"), PLACES["public"], 80)


def test_name_servers_of_another_cluster_are_a_setting() -> None:
    dns = {
        "namespace": "openshift-dns",
        "podLabels": {"dns": "default"},
        "ports": [5353],
        "cidrs": ["169.254.20.10/32"],
    }
    agent = parse()
    wall = Firewall(policies(agent, settings=PlatformSettings.model_validate({"network": {"dns": dns}})))
    source = pod_of(agent, "10.244.0.1")

    assert wall.allows(source, Place("10.1.0.1", "openshift-dns", {"dns": "default"}), 5353, "UDP")
    assert wall.allows(source, Place("169.254.20.10"), 53, "UDP")
    assert not wall.allows(source, Place("169.254.169.254"), 53, "UDP")
    assert not wall.allows(source, PLACES["dns"], 53, "UDP")


def test_switched_off_there_is_no_policy_and_the_status_says_so() -> None:
    agent = parse(memory={}, security={"networkPolicy": {"enabled": False}})

    assert policies(agent) == ()
    assert "security.networkPolicy is off" in weaknesses(agent, SETTINGS)


def test_every_address_open_is_named_as_weaker() -> None:
    agent = parse(security={"networkPolicy": {"egress": {"allowedCIDRs": ["0.0.0.0/0"]}}})

    assert weaknesses(agent, SETTINGS) == ("security.networkPolicy opens 0.0.0.0/0",)


def test_the_policy_says_what_was_derived() -> None:
    (policy, _) = policies(AGENT)

    told = policy["metadata"]["annotations"][DERIVED].splitlines()

    assert "llm.providers.near vllm.models:8000" in told
    assert "tools.chart charts.tools.svc.cluster.local:8443" in told
    assert "agent.code.source github.com:443" in told
    assert "agent.environment.sdk pypi.org:443" in told


@pytest.mark.parametrize(
    "url, host, port, namespace, public",
    [
        ("http://vllm:8000/v1", "vllm", 8000, "", False),
        ("http://vllm.models/v1", "vllm.models", 80, "models", False),
        ("https://openrouter.ai/v1", "openrouter.ai", 443, None, True),
        ("https://vllm.models:8443/v1", "vllm.models", 8443, "models", True),
        ("https://vllm.models.svc/v1", "vllm.models.svc", 443, "models", False),
        ("http://vllm.models.svc:8000", "vllm.models.svc", 8000, "models", False),
        ("http://v-0.v.models.svc.cluster.local:8000", "v-0.v.models.svc.cluster.local", 8000, "models", False),
        ("https://api.example.com/v1", "api.example.com", 443, None, True),
        ("https://svc.example.com/v1", "svc.example.com", 443, None, True),
        ("https://API.Example.com./v1", "api.example.com", 443, None, True),
    ],
)  # fmt: skip
def test_names_are_told_apart(url: str, host: str, port: int, namespace: str | None, public: bool) -> None:
    agent = parse(llm={"providers": [{"name": "p", "type": "openai-compatible", "config": {"baseUrl": url}}]})

    (found,) = endpoints(agent, SETTINGS)

    assert (found.host, found.port, found.namespace, found.public) == (host, port, namespace, public)


NO_PACKAGES = {"environment": {"sdk": {"fromCode": "Off"}}}


@pytest.mark.parametrize(
    "repository, told",
    [
        ("git@gitea.forge:team/code.git", "gitea.forge:22"),
        ("ssh://git@git.example.com:2222/code", "git.example.com:2222"),
        ("http://[fd12::5]:3000/code", "[fd12::5]:3000"),
        ("http://localhost:3000/code", ""),
        ("http://127.0.0.1/code", ""),
        ("https://git.example.com:port/code", ""),
    ],
)
def test_repositories_are_read(repository: str, told: str) -> None:
    source = {"type": "git", "repository": repository}
    agent = parse(agent={"type": "code", "code": {"runtime": "nodejs", "source": source}, **NO_PACKAGES})

    assert " ".join(str(each) for each in endpoints(agent, SETTINGS)) == told


def test_tools_and_indexes_of_the_platform_are_derived_too() -> None:
    artifact = {"platform": "linux/amd64", "url": "http://files.mirror:8081/git", "sha256": "0" * 64}
    settings = PlatformSettings.model_validate(
        {
            "pythonIndexUrl": "http://devpi.mirror:3141/simple",
            "npmRegistry": "http://verdaccio.mirror:4873",
            "catalogue": {"git": {"name": "git", "artifacts": [artifact]}, "x": {"name": "x", "source": "npm:x@1.0.0"}},
        }
    )
    custom = [{"name": "tide", "source": "mcp+stdio:pypi:tide==1"}, {"name": "note", "source": "builtin:memory"}]
    agent = parse(tools={"required": ["git", "x", "python"], "custom": custom})

    assert [f"{each.field} {each}" for each in endpoints(agent, settings)] == [
        "tools.git files.mirror:8081",
        "tools.tide devpi.mirror:3141",
        "tools.x verdaccio.mirror:4873",
    ]


def test_toolproxy_may_connect_where_the_policy_lets_it() -> None:
    def networks(source: str, *cidrs: str) -> list[str]:
        security = {"networkPolicy": {"egress": {"allowedCIDRs": list(cidrs)}}}
        agent = parse(tools={"custom": [{"name": "chart", "source": source}]}, security=security)
        (config,) = (m for m in render(agent, SETTINGS) if m["kind"] == "ConfigMap")
        found: list[str] = json.loads(config["data"]["tools.json"])["policy"]["allowedNetworks"]
        return found

    assert networks("mcp+https://charts.example.com/mcp") == []
    assert networks("mcp+https://charts.example.com/mcp", "10.20.0.0/16") == ["10.20.0.0/16"]
    assert networks("mcp+https://charts.tools.svc/mcp") == list(CLUSTER_CIDRS)
    assert not {"127.0.0.0/8", "169.254.0.0/16", "::1/128"} & set(CLUSTER_CIDRS)


def test_an_external_memory_is_reached_where_it_is() -> None:
    agent = parse(memory={"config": {"url": "redis://cache.data/0"}})
    (policy,) = policies(agent)

    assert Firewall((policy,)).allows(pod_of(agent, "10.244.0.1"), PLACES["data"], 6379)
