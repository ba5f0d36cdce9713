"""The memory: who is told of it, and what its server is made of."""

from typing import Any

import pytest

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.agenttype.scalars import size_bytes
from agent_api.gatewayconfig import GatewayConfig
from agent_api.memoryreport import MemoryReport
from agent_api.problems import examine
from agent_api.toolsconfig import ToolsConfig
from agent_render import PlatformSettings, pod_template, render

SETTINGS = PlatformSettings()
EXTERNAL = {"url": "rediss://redis.example.com:6380/2", "username": "guest", "credentialsSecret": "redis-guest"}


def agent(**spec: Any) -> AgentType:
    document = {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": "web", "namespace": "agents"},
        "spec": {
            "agent": {"image": "nginx:1.27"},
            "tools": {"required": ["git"]},
            "llm": {"providers": [{"name": "main", "type": "mock"}]},
            **spec,
        },
    }
    verdict = examine(document)
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def env(found: AgentType) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in pod_template(found, SETTINGS)["spec"]["containers"][0]["env"]}


def child(found: AgentType, kind: str) -> dict[str, Any]:
    (one,) = [manifest for manifest in render(found, SETTINGS) if manifest["kind"] == kind]
    return one


@pytest.mark.parametrize(
    "memory, url",
    [
        ({"type": "inmemory"}, "redis://127.0.0.1:6379/0"),
        ({}, "redis://:$(AGENT_MEMORY_PASSWORD)@web-memory.agents.svc:6379/0"),
        ({"config": {"url": "redis://redis:6379"}}, "redis://redis:6379"),
        ({"config": EXTERNAL}, "rediss://guest:$(AGENT_MEMORY_PASSWORD)@redis.example.com:6380/2"),
    ],
)
def test_agent_is_told_one_url_under_both_names(memory: dict[str, Any], url: str) -> None:
    found = env(agent(memory=memory))

    assert found["AGENT_MEMORY_URL"]["value"] == found["REDIS_URL"]["value"] == url
    names = list(found)
    if "AGENT_MEMORY_PASSWORD" in found:  # the kubelet expands only what stands before
        assert names.index("AGENT_MEMORY_PASSWORD") < names.index("AGENT_MEMORY_URL")


@pytest.mark.parametrize("memory", [{"type": "inmemory"}, {}, {"config": EXTERNAL}])
def test_sidecars_are_told_and_see_the_password(memory: dict[str, Any]) -> None:
    found = agent(memory=memory)
    data = child(found, "ConfigMap")["data"]
    tools, gateway = (
        ToolsConfig.model_validate_json(data["tools.json"]),
        GatewayConfig.model_validate_json(data["gateway.json"]),
    )

    assert tools.memory is not None
    assert gateway.memory is not None
    assert (tools.memory.url, tools.memory.credentials) == (gateway.memory.url, gateway.memory.credentials)
    mounted = {
        container["name"]: [mount["mountPath"] for mount in container["volumeMounts"]]
        for container in pod_template(found, SETTINGS)["spec"]["initContainers"]
    }
    seen = {name for name, paths in mounted.items() if layout.CONFIG_MEMORY in paths}
    assert seen == ({"toolproxy", "llmgateway"} if tools.memory.credentials else set())


def test_agents_on_one_external_server_have_keys_of_their_own() -> None:
    data = child(agent(memory={"config": EXTERNAL}), "ConfigMap")["data"]

    memory = ToolsConfig.model_validate_json(data["tools.json"]).memory
    assert memory is not None
    assert memory.prefix == "agents:web:"


def test_inmemory_starts_after_the_other_sidecars_and_serves_its_pod_alone() -> None:
    containers = pod_template(agent(memory={"type": "inmemory", "size": "64Mi"}), SETTINGS)["spec"]["initContainers"]

    assert [container["name"] for container in containers] == ["toolproxy", "llmgateway", "memory"]
    arguments = containers[-1]["args"]
    assert arguments[arguments.index("--bind") + 1] == "127.0.0.1"
    assert arguments[arguments.index("--maxmemory") + 1] == str(64 << 20)
    assert arguments[arguments.index("--maxmemory-policy") + 1] == "allkeys-lru"
    assert arguments[arguments.index("--appendonly") + 1] == "no"
    assert containers[-1]["restartPolicy"] == "Always"
    assert containers[-1]["securityContext"]["runAsUser"] == layout.MEMORY_UID


@pytest.mark.parametrize(
    "config, policy, when_deleted",
    [
        ({"persistence": True}, "noeviction", "Retain"),
        ({"persistence": True, "deletionPolicy": "delete"}, "noeviction", "Delete"),
        ({"persistence": True, "evictionPolicy": "volatile-lru"}, "volatile-lru", "Retain"),
        ({}, "allkeys-lru", None),
    ],
)
def test_redis_keeps_its_data_as_asked(config: dict[str, Any], policy: str, when_deleted: str | None) -> None:
    spec = child(agent(memory={"size": "1Gi", "config": config}), "StatefulSet")["spec"]
    (container,) = spec["template"]["spec"]["containers"]

    arguments = container["args"]
    assert arguments[arguments.index("--maxmemory-policy") + 1] == policy
    assert ("everysec" in arguments) == (when_deleted is not None)
    assert spec.get("persistentVolumeClaimRetentionPolicy", {}).get("whenDeleted") == when_deleted
    claims = spec.get("volumeClaimTemplates", [])
    assert [claim["spec"]["resources"]["requests"]["storage"] for claim in claims] == ["3Gi"] * bool(when_deleted)
    assert container["ports"] == [{"name": "redis", "containerPort": 6379, "protocol": "TCP"}]
    assert size_bytes(container["resources"]["limits"]["memory"]) > 1 << 30


def test_no_rendered_object_is_a_secret() -> None:
    assert "Secret" not in {manifest["kind"] for manifest in render(agent(memory={}), SETTINGS)}


def test_size_and_resources_of_the_agents_own_win() -> None:
    own = {"memory": {"requests": {"memory": "1Gi"}, "limits": {"memory": "5Gi"}}}
    found = agent(memory={"size": "2Gi"}, resources=own)

    (container,) = child(found, "StatefulSet")["spec"]["template"]["spec"]["containers"]

    assert container["resources"]["requests"] == {"cpu": "20m", "memory": "1Gi"}
    assert container["resources"]["limits"]["memory"] == "5Gi"


def test_suspended_server_stops_only_if_its_data_is_kept() -> None:
    kept = agent(memory={"config": {"persistence": True}}, suspend=True)
    held = agent(memory={}, suspend=True)

    assert child(kept, "StatefulSet")["spec"]["replicas"] == 0
    assert child(held, "StatefulSet")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    "size, expected", [("1Mi", 1 << 20), ("1.5Gi", 3 << 29), ("2M", 2_000_000), ("1048576", 1 << 20), ("3k", 3000)]
)
def test_sizes_are_read_as_kubernetes_reads_them(size: str, expected: int) -> None:
    assert size_bytes(size) == expected


@pytest.mark.parametrize(
    "policy, used, full",
    [("noeviction", 99, True), ("noeviction", 90, False), ("allkeys-lru", 101, False), ("volatile-lru", 101, True)],
)
def test_memory_is_full_where_nothing_makes_room(policy: str, used: int, full: bool) -> None:
    info = {"used_memory": used, "maxmemory": 100, "maxmemory_policy": policy, "evicted_keys": "7"}

    report = MemoryReport.of(info, 3)

    assert (report.full, report.evicted_keys, report.keys) == (full, 7, 3)


def test_server_that_tells_nothing_is_merely_reachable() -> None:
    assert MemoryReport.of({}, None) == MemoryReport(reachable=True)
