"""What starts Pods is applied only when the fence around them stands, against the fake API server over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from services.operator.tests.operator_objects import agent

from agent_kube import Applied, Applier, ObjectKey, Request, Stores
from agent_operator.children.fence import apply_fenced, is_open
from agent_operator.objects import AgentObject
from agent_operator.sources import AGENTS, ALL, CHILDREN
from agent_render import PlatformSettings, render

OBJ = msgspec.json.decode(
    b'{"metadata": {"name": "subject", "namespace": "team", "uid": "uid-agent"}, "spec": {}}', type=AgentObject
)
FENCE = ["serviceaccounts", "configmaps", "networkpolicies"]


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi([source.resource for source in CHILDREN]) as server:
        yield server


async def applied(api: FakeApi, *, stops: bool = False, **spec: Any) -> Applied:
    files = {"image": "nginx:1.27", "environment": {"files": [{"path": "a", "content": "b"}]}}
    subject = agent(agent=files, scaling={"minReplicas": 1, "maxReplicas": 2}, **spec)
    stores = Stores(ALL)
    async with api.client() as client:
        applier = Applier(client, stores, root=AGENTS, field_manager="us", mark="mark")
        request = Request(ObjectKey("team", "subject"), "id")
        return await apply_fenced(applier, request, OBJ, render(subject, PlatformSettings()), stops=stops)


def made(api: FakeApi) -> list[str]:
    return [call.plural for call in api.writes() if call.verb == "create"]


async def test_the_fence_comes_first(api: FakeApi) -> None:
    done = await applied(api)

    order = made(api)
    assert set(order[: order.index("deployments")]) >= set(FENCE)
    assert done.refused == []
    assert not is_open(done)


@pytest.mark.parametrize("plural", FENCE)
@pytest.mark.parametrize("status", [403, 422, 500])
async def test_without_a_part_of_the_fence_nothing_starts_pods(api: FakeApi, plural: str, status: int) -> None:
    api.fault(faults.refuse(status, "No", "failed calling webhook"), "create", plural, times=99)

    done = await applied(api)

    assert is_open(done)
    assert not {"deployments", "statefulsets", "horizontalpodautoscalers"} & set(made(api))
    assert set(FENCE) - {plural} <= set(made(api))


async def test_what_only_stops_pods_needs_no_fence(api: FakeApi) -> None:
    api.fault(faults.refuse(500), "create", "networkpolicies", times=99)

    await applied(api, stops=True, suspend=True)

    assert "deployments" in made(api)
