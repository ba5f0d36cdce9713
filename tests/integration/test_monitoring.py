"""Step 5: agents' metrics are collected where the cluster can, and what the tree observes is really exported."""

import asyncio
import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from contract.llmgateway.harness import run_gateway
from contract.monitoring.observed import DASHBOARDS, alerts, metrics_in, names_on_page, queries
from contract.toolproxy.toolproxy_harness import running
from integration.api import Document
from integration.cluster import Cluster
from integration.monitoring import monitoring_kinds
from integration.namespace import Namespace, condition
from integration.operating import Hire, OperatorProcess
from integration.waiting import eventually

pytestmark = pytest.mark.step5

SIDECARS: dict[str, Any] = {
    "tools": {"optional": ["git"]},
    "llm": {"providers": [{"name": "main", "type": "mock"}]},
}


async def says_monitored(namespace: Namespace, name: str, reason: str) -> Document:
    async def look() -> Document:
        found = await namespace.agent(name)
        assert condition(found, "Monitored").get("reason") == reason, found.get("status")
        return found

    return await eventually(look, within_s=90)  # the cache asks for a missing API more and more slowly


@pytest.mark.timeout(300)
async def test_an_agent_is_collected_once_the_cluster_can_and_works_without(
    own_namespace: Namespace, hire: Hire, cluster: Cluster
) -> None:
    operator = hire(own_namespace, "--api-retry-s", "1", "--leader-election=false")
    await operator.ready()
    await own_namespace.create("watched", monitoring={"metrics": ["memory_usage", "api_latncy"]}, **SIDECARS)
    found = await says_monitored(own_namespace, "watched", "NoPodMonitors")
    assert "monitoring.coreos.com/v1" in condition(found, "Monitored")["message"]
    assert condition(found, "Accepted")["status"] == "True"
    assert "spec.monitoring.metrics[1]" in condition(found, "Accepted")["message"]
    await own_namespace.finds("deployments", "watched")

    async with monitoring_kinds(cluster):
        await says_monitored(own_namespace, "watched", "Collected")
        monitor = await own_namespace.finds("podmonitors", "watched")
        assert [owner["kind"] for owner in monitor["metadata"]["ownerReferences"]] == ["AgentType"]
        pods = await own_namespace.has_pods("watched")
        labels = pods[0]["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
        ports = {p["name"] for c in pods[0]["spec"]["initContainers"] for p in c["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} == ports

        await own_namespace.edit("watched", monitoring={"enabled": False})

        async def pruned() -> bool:
            return await own_namespace.api.find("podmonitors", "watched") is None

        await eventually(pruned)
        await own_namespace.edit("watched", monitoring={"enabled": True})
        await says_monitored(own_namespace, "watched", "Collected")

    await own_namespace.edit("watched", monitoring={"metrics": ["cpu_usage"]})
    await says_monitored(own_namespace, "watched", "NoPodMonitors")
    assert operator.problems() == []


def families(text: str) -> set[str]:
    """Names of the metrics in an answer of /metrics, without the times at which the client began to count."""
    return {name for name in re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE) if not name.endswith("_created")}


async def test_alerts_dashboards_and_the_page_name_what_the_programs_export(
    standing_operator: OperatorProcess, namespace: Namespace, tmp_path: Path
) -> None:
    await namespace.create("counted")
    async with aiohttp.ClientSession() as session, session.get(f"{standing_operator.ops}/metrics") as answer:
        exported = families(await answer.text())
    config = {"providers": [{"name": "only", "type": "mock", "model": "mock"}], "budget": {"tokensPerHour": 10}}
    with run_gateway(tmp_path / "gateway", config) as gateway:
        exported |= families(await asyncio.to_thread(lambda: gateway.ops.get("/metrics").text))
    with running(tmp_path / "proxy") as proxy:
        exported |= families(await asyncio.to_thread(proxy.metrics))

    assert names_on_page() == exported
    expressions = [*(rule["expr"] for rule in alerts()), *(expr for file in DASHBOARDS for expr in queries(file))]
    named = {name for expression in expressions for name in metrics_in(expression)}
    parts = {f"{name}{end}" for name in exported for end in ("_bucket", "_sum", "_count")}
    assert named - exported - parts == set()
