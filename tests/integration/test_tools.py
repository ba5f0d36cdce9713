"""Step 3: tools of an AgentType as its Pods have them, on a real API server."""

import json
from typing import Any

import pytest
from integration.api import Document
from integration.team import NGINX, Team, condition
from integration.waiting import eventually

pytestmark = pytest.mark.step3


async def tools_of(team: Team, name: str) -> list[str]:
    """The names in the configuration of the tool proxy."""
    data = (await team.finds("configmaps", f"{name}-berth"))["data"]
    return [tool["name"] for tool in json.loads(data["tools.json"])["tools"]]


def container(pod: Document, name: str) -> Document:
    spec: Document = pod["spec"]
    found = [c for c in (*spec["initContainers"], *spec["containers"]) if c["name"] == name]
    assert found, [c["name"] for c in spec["initContainers"]]
    result: Document = found[0]
    return result


def mounts(pod: Document, name: str) -> dict[str, Any]:
    return {m["mountPath"]: m.get("readOnly", False) for m in container(pod, name)["volumeMounts"]}


async def test_tools_come_with_a_sidecar_and_one_way_volumes(team: Team) -> None:
    await team.create("tooled", tools={"required": ["python"], "optional": ["kubectl"]})
    agent = await team.reaches("tooled", "Running")

    (pod,) = await team.pods("tooled")
    proxy = container(pod, "toolproxy")
    assert proxy["restartPolicy"] == "Always"
    assert "startupProbe" in proxy
    assert mounts(pod, "toolproxy")["/tools"] is False
    assert mounts(pod, "agent")["/tools"] is True
    assert sorted(await tools_of(team, "tooled")) == ["kubectl", "python"]
    assert condition(agent, "ToolsReady")["status"] == "Unknown"  # no process runs on a fake node, and none is claimed


async def test_a_change_of_tools_reaches_running_pods_without_replacing_them(team: Team) -> None:
    await team.create("changed", tools={"required": ["python"]})
    await team.reaches("changed", "Running")
    (before,) = await team.pods("changed")

    await team.edit("changed", tools={"required": ["python", "git"]})

    async def told() -> bool:
        return sorted(await tools_of(team, "changed")) == ["git", "python"]

    await eventually(told)
    (after,) = await team.pods("changed")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_without_tools_there_is_no_sidecar(team: Team) -> None:
    await team.create("plain", agent=NGINX)
    await team.reaches("plain", "Running")

    (pod,) = await team.pods("plain")
    assert "toolproxy" not in [c["name"] for c in pod["spec"].get("initContainers", ())]
