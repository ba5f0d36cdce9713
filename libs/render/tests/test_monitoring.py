import re
from typing import Any

import pytest
from libs.render.tests.test_render import agent

from agent_api.agenttype import AgentType
from agent_api.metrics import ALWAYS_KEPT, METRIC_GROUPS, kept_metrics, unknown_groups
from agent_api.problems import examine
from agent_render import PlatformSettings, pod_template, render

WITH = PlatformSettings(pod_monitors=True)
SIDECARS = {"tools": {"required": ["git"]}, "llm": {"providers": [{"name": "m", "type": "mock"}]}}


def monitors(found: AgentType, settings: PlatformSettings = WITH) -> list[dict[str, Any]]:
    return [manifest for manifest in render(found, settings) if manifest["kind"] == "PodMonitor"]


def variables(found: AgentType, settings: PlatformSettings) -> dict[str, dict[str, str]]:
    """The OTEL variables of each container."""
    pod = pod_template(found, settings)["spec"]
    return {
        c["name"]: {e["name"]: e["value"] for e in c.get("env", ()) if e["name"].startswith("OTEL_")}
        for c in (*pod["initContainers"], *pod["containers"])
    }


def test_a_pod_monitor_scrapes_each_sidecar_and_names_the_agent() -> None:
    found = agent(spec={**SIDECARS, "monitoring": {}})
    (monitor,) = monitors(found)
    pod = pod_template(found, WITH)

    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"]: port["containerPort"] for c in pod["spec"]["initContainers"] for port in c["ports"]}
    scraped = [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]]
    assert {name: ports[name] for name in scraped} == {"ops-toolproxy": 9802, "ops-llmgateway": 9801}
    for endpoint in monitor["spec"]["podMetricsEndpoints"]:
        assert {rule["targetLabel"] for rule in endpoint["relabelings"]} == {"agent", "namespace"}
        assert endpoint["relabelings"][0]["sourceLabels"] == ["__meta_kubernetes_pod_label_agents_example_com_agent"]
        assert "metricRelabelings" not in endpoint


@pytest.mark.parametrize(
    "spec,settings",
    [
        (SIDECARS, WITH),
        ({**SIDECARS, "monitoring": {"enabled": False}}, WITH),
        ({"monitoring": {}}, WITH),
        ({**SIDECARS, "monitoring": {}}, PlatformSettings()),
    ],
    ids=["not asked for", "switched off", "nothing to scrape", "no such API"],
)
def test_there_is_none_without_a_wish_or_metrics_or_the_api(spec: dict[str, Any], settings: PlatformSettings) -> None:
    assert monitors(agent(spec=spec), settings) == []


def test_only_the_groups_that_are_asked_for_are_kept() -> None:
    names = ["memory_usage", "api_latency"]
    (monitor,) = monitors(agent(spec={**SIDECARS, "monitoring": {"metrics": names}}))
    (rule,) = monitor["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]

    assert (rule["sourceLabels"], rule["action"]) == (["__name__"], "keep")
    kept = re.compile(rule["regex"])
    for name in ("process_resident_memory_bytes", "gen_ai_client_operation_duration_seconds_bucket"):
        assert kept.fullmatch(name)
    for name in ("agentberth_tool_calls_total", "python_gc_collections_total", "process_resident_memory_bytes_x"):
        assert not kept.fullmatch(name)


def test_what_alerts_look_at_is_kept_whatever_is_asked_for() -> None:
    assert set(ALWAYS_KEPT) < set(kept_metrics(["cpu_usage"]))
    assert kept_metrics(["no-such"]) == tuple(dict.fromkeys(ALWAYS_KEPT))
    assert kept_metrics([]) == ()


def test_an_unknown_group_is_named_and_not_refused() -> None:
    spec = {"agent": {"image": "nginx:1.27"}, "monitoring": {"metrics": ["api_latency", "api_latncy", "weather"]}}
    found = examine(
        {"apiVersion": "agents.example.com/v1", "kind": "AgentType", "metadata": {"name": "a"}, "spec": spec}
    )

    assert found.agent is not None
    assert [problem.field for problem in found.problems] == ["spec.monitoring.metrics[1]", "spec.monitoring.metrics[2]"]
    assert 'did you mean "api_latency"?' in found.problems[0].message
    assert all(name in found.problems[1].message for name in METRIC_GROUPS)
    assert {problem.severity for problem in found.problems} == {"warning"}
    assert unknown_groups(METRIC_GROUPS) == ()


PLATFORM = PlatformSettings(tracing_endpoint="http://platform:4318")


def test_every_container_of_the_agent_is_told_where_traces_go() -> None:
    found = variables(agent(spec=SIDECARS), PLATFORM)

    assert set(found) == {"toolproxy", "llmgateway", "agent"}
    assert {each["OTEL_EXPORTER_OTLP_ENDPOINT"] for each in found.values()} == {"http://platform:4318"}
    assert {name: each["OTEL_SERVICE_NAME"] for name, each in found.items()} == {
        "toolproxy": "web-toolproxy",
        "llmgateway": "web-llmgateway",
        "agent": "web",
    }
    assert found["agent"]["OTEL_RESOURCE_ATTRIBUTES"] == "k8s.namespace.name=agents,agentberth.agent=web"


@pytest.mark.parametrize(
    "monitoring,endpoint",
    [
        ({"tracing": {"endpoint": "http://mine:4318"}}, "http://mine:4318"),
        ({}, "http://platform:4318"),
        ({"enabled": False}, None),
        ({"enabled": False, "tracing": {"endpoint": "http://mine:4318"}}, None),
    ],
)
def test_the_agents_own_word_on_traces_goes_before_the_platforms(
    monitoring: dict[str, Any], endpoint: str | None
) -> None:
    found = variables(agent(spec={**SIDECARS, "monitoring": monitoring}), PLATFORM)

    assert {each.get("OTEL_EXPORTER_OTLP_ENDPOINT") for each in found.values()} == {endpoint}


def test_without_an_endpoint_nothing_is_said_of_traces() -> None:
    assert set(map(len, variables(agent(spec=SIDECARS), PlatformSettings()).values())) == {0}


def test_a_user_may_send_the_agents_own_traces_elsewhere() -> None:
    own = [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://elsewhere:4318"}]
    found = variables(agent(spec=SIDECARS, image="nginx:1.27", environment={"variables": own}), PLATFORM)

    assert found["agent"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://elsewhere:4318"
    assert found["llmgateway"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://platform:4318"
