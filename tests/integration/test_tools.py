"""Step 3: tools of an AgentType as its Pods have them, on a real API server."""

import json
from typing import Any

import pytest
from integration.api import Document
from integration.namespace import NGINX, Namespace, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step3


async def tools_of(namespace: Namespace, name: str) -> list[str]:
    """The names in the configuration of the tool proxy."""
    data = (await namespace.finds("configmaps", f"{name}-berth"))["data"]
    return [tool["name"] for tool in json.loads(data["tools.json"])["tools"]]


def container(pod: Document, name: str) -> Document:
    spec: Document = pod["spec"]
    found = [c for c in (*spec["initContainers"], *spec["containers"]) if c["name"] == name]
    assert found, [c["name"] for c in spec["initContainers"]]
    result: Document = found[0]
    return result


def mounts(pod: Document, name: str) -> dict[str, Any]:
    return {m["mountPath"]: m.get("readOnly", False) for m in container(pod, name)["volumeMounts"]}


async def test_tools_come_with_a_sidecar_and_one_way_volumes(namespace: Namespace) -> None:
    await namespace.create("tooled", tools={"required": ["python"], "optional": ["kubectl"]})
    agent = await namespace.reaches("tooled", "Running")

    (pod,) = await namespace.pods("tooled")
    proxy = container(pod, "toolproxy")
    assert proxy["restartPolicy"] == "Always"
    assert "startupProbe" in proxy
    assert mounts(pod, "toolproxy")["/tools"] is False
    assert mounts(pod, "agent")["/tools"] is True
    assert sorted(await tools_of(namespace, "tooled")) == ["kubectl", "python"]
    assert condition(agent, "ToolsReady")["status"] == "Unknown"  # no process runs on a fake node, and none is claimed


async def test_a_change_of_tools_reaches_running_pods_without_replacing_them(namespace: Namespace) -> None:
    await namespace.create("changed", tools={"required": ["python"]})
    await namespace.reaches("changed", "Running")
    (before,) = await namespace.pods("changed")

    await namespace.edit("changed", tools={"required": ["python", "git"]})

    async def told() -> bool:
        return sorted(await tools_of(namespace, "changed")) == ["git", "python"]

    await eventually(told)
    (after,) = await namespace.pods("changed")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_without_tools_there_is_no_sidecar(namespace: Namespace) -> None:
    await namespace.create("plain", agent=NGINX)
    await namespace.reaches("plain", "Running")

    (pod,) = await namespace.pods("plain")
    assert "toolproxy" not in [c["name"] for c in pod["spec"].get("initContainers", ())]
