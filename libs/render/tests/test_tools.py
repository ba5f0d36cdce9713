"""What an AgentType says about its tools arrives in tools.json, and nothing that the proxy could not keep."""

import json
from typing import Any

import pytest

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render import PlatformSettings, UnsupportedError, pod_template, render
from agent_render.posture import weaknesses

SETTINGS = PlatformSettings()


def agent(tools: dict[str, Any], **spec: Any) -> AgentType:
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "nginx:1.27"}, "tools": tools, **spec},
        }
    )
    assert verdict.agent is not None, verdict.problems
    assert not verdict.problems
    return verdict.agent


def config_of(found: AgentType) -> dict[str, Any]:
    data = [each["data"] for each in render(found, SETTINGS) if each["kind"] == "ConfigMap"]
    (tools,) = [each[layout.TOOLS_KEY] for each in data if layout.TOOLS_KEY in each]
    parsed: dict[str, Any] = json.loads(tools)
    return parsed


def egress_of(found: AgentType) -> list[dict[str, Any]]:
    policy = next(each for each in render(found, SETTINGS) if each["kind"] == "NetworkPolicy")
    rules: list[dict[str, Any]] = policy["spec"]["egress"]
    return rules


def toolproxy_of(found: AgentType) -> tuple[dict[str, Any], dict[str, Any]]:
    pod = pod_template(found, SETTINGS)["spec"]
    return pod, next(each for each in pod["initContainers"] if each["name"] == layout.TOOLPROXY)


@pytest.mark.parametrize(
    "field,value,setting,expected",
    [
        ("installTimeoutSeconds", 900, "installTimeoutSeconds", 900),
        ("startTimeoutSeconds", 300, "startTimeoutSeconds", 300),
        ("upstreamTimeoutSeconds", 30, "upstreamTimeoutSeconds", 30),
        ("outputSize", "2Mi", "outputBytes", 2 << 20),
        ("downloadSize", "1Gi", "downloadBytes", 1 << 30),
        ("unpackedSize", "3G", "unpackedBytes", 3 * 10**9),
        ("unpackedFiles", 10, "unpackedFiles", 10),
        ("memory", "128Mi", "memoryBytes", 128 << 20),
        ("processes", 3, "processes", 3),
        ("concurrency", 2, "concurrency", 2),
    ],
)
def test_each_limit_of_the_proxy_can_be_set(field: str, value: object, setting: str, expected: int) -> None:
    limits = config_of(agent({"limits": {field: value}}))["limits"]

    assert limits.pop(setting) == expected
    default = config_of(agent({}))["limits"]
    assert limits == {name: each for name, each in default.items() if name != setting}


@pytest.mark.parametrize(
    "limits,message",
    [
        ({"memory": "2Gi"}, r"tools.limits.memory: 2Gi is more than .* \(768Mi\): raise resources.toolproxy.limits"),
        ({"outputSize": "1Gi"}, "tools.limits.outputSize: Input should be less than"),
        ({"memory": "1Mi"}, "tools.limits.memory: Input should be greater than"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused_by_its_name(limits: dict[str, str], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        render(agent({"limits": limits}), SETTINGS)


def test_a_larger_container_gives_its_tools_more() -> None:
    found = agent({"limits": {"memory": "3Gi"}}, resources={"toolproxy": {"limits": {"memory": "4Gi"}}})

    assert config_of(found)["limits"]["memoryBytes"] == 3 << 30


def test_listing_search_arrives() -> None:
    assert [config_of(agent(each))["listing"] for each in ({}, {"listing": "search"})] == ["all", "search"]


def test_a_network_of_the_tools_is_opened_in_the_proxy_and_in_the_policy() -> None:
    found = agent({"policy": {"allowedNetworks": ["10.30.0.0/16"]}})

    assert "10.30.0.0/16" in config_of(found)["policy"]["allowedNetworks"]
    assert {"to": [{"ipBlock": {"cidr": "10.30.0.0/16"}}]} in egress_of(found)


def test_every_network_is_a_weakness_and_what_the_platform_blocks_stays_closed() -> None:
    found = agent({"policy": {"allowedNetworks": ["0.0.0.0/0"]}})

    assert "tools.policy.allowedNetworks opens 0.0.0.0/0" in weaknesses(found, SETTINGS)
    assert "169.254.0.0/16" in json.dumps(egress_of(found))
    with pytest.raises(UnsupportedError, match=r"tools\.policy\.allowedNetworks"):
        render(agent({"policy": {"allowedNetworks": ["169.254.169.254/32"]}}), SETTINGS)


def test_the_secret_of_the_index_is_mounted_in_the_tool_proxy_alone() -> None:
    pod, toolproxy = toolproxy_of(agent({"indexSecret": "index", "required": ["git"]}))

    assert {"name": "tools-index", "mountPath": layout.CONFIG_TOOLS_INDEX, "readOnly": True} in toolproxy[
        "volumeMounts"
    ]
    others = [*pod["containers"], *(each for each in pod["initContainers"] if each is not toolproxy)]
    assert not [each for each in others if "tools-index" in json.dumps(each)]
    assert config_of(agent({"indexSecret": "index"}))["indexFolder"] == layout.CONFIG_TOOLS_INDEX


@pytest.mark.parametrize("host", ["docs", "docs.tools", "docs.tools.svc", "docs.tools.svc.cluster.local"])
def test_a_server_in_the_cluster_is_reached_without_encryption(host: str) -> None:
    found = agent({"custom": [{"name": "docs", "source": f"mcp+http://{host}:8080/mcp"}]})

    assert "10.0.0.0/8" in config_of(found)["policy"]["allowedNetworks"]
    own = host == "docs"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "tools"}}
    to = {"podSelector": {}} if own else {"namespaceSelector": selector}
    assert {"to": [to], "ports": [{"port": 8080, "protocol": "TCP"}]} in egress_of(found)


@pytest.mark.parametrize(
    "source",
    [
        "mcp+http://docs.example.com/mcp",
        "mcp+http://docs.tools.other/mcp",
        "mcp+http://10.1.2.3:80/mcp",
        "mcp+http://docs.tools@evil.example/mcp",
        "mcp+http://[fd00::1]/mcp",
        "mcp+http://docs.tools:80@evil/mcp",
    ],
)
def test_nothing_outside_the_cluster_is_asked_without_encryption(source: str) -> None:
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web"},
            "spec": {"agent": {"image": "x:1"}, "tools": {"custom": [{"name": "docs", "source": source}]}},
        }
    )

    assert [problem.field for problem in verdict.problems] == ["spec.tools.custom[0].source"]


@pytest.mark.parametrize("constraint", ["-r/etc/passwd", "x<1\n-e .", "x@https://e.com/x.whl", "x #y", ""])
def test_a_constraint_is_one_version_and_nothing_else(constraint: str) -> None:
    tool = {"name": "docs", "source": "mcp+stdio:pypi:docs==1", "config": {"constraints": [constraint]}}

    with pytest.raises(UnsupportedError, match=r"tools.custom docs: config.constraints"):
        render(agent({"custom": [tool]}), SETTINGS)


OWN: dict[str, Any] = {"custom": [{"name": "own", "source": "mcp+stdio:code:tools/server.py"}]}


@pytest.mark.parametrize(
    "source",
    [
        {"type": "local", "configMap": "code"},
        {"type": "git", "repository": "https://git.example.com/team/agent.git", "revision": "v1"},
    ],
)
def test_a_server_of_the_agents_own_code_sees_the_code_and_cannot_change_it(source: dict[str, str]) -> None:
    code = {"type": "code", "code": {"runtime": "python", "source": source}}
    _, toolproxy = toolproxy_of(agent(OWN, agent=code))
    _, other = toolproxy_of(agent({"required": ["git"]}, agent=code))

    shared = {"name": "shared", "mountPath": layout.SHARED, "readOnly": True}
    assert shared in toolproxy["volumeMounts"]
    assert shared not in other["volumeMounts"]
    with pytest.raises(UnsupportedError, match="needs an agent of type code"):
        render(agent(OWN), SETTINGS)


def test_a_tool_of_the_registry_arrives_with_its_source_and_its_way_out() -> None:
    document = {"name": "x/y", "remotes": [{"type": "streamable-http", "url": "https://weather.example.com:8443/mcp"}]}
    found = agent({"custom": [{"name": "weather", "serverJson": document}]})

    assert config_of(found)["tools"][0]["custom"]["source"] == "mcp+https://weather.example.com:8443/mcp"
    assert "8443" in json.dumps(egress_of(found))
