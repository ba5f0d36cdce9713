"""One budget for all Pods of an agent, on a real API server and with real gateways, whatever is killed.

The test plays the kubelet: the gateways are processes on this machine, each at an address of the loopback that stands
for its Pod's. What they hold is what the API server says the operator granted.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest
from contract.llmgateway.harness import Mock, run_mock
from integration.api import Document
from integration.gateways import PlayedGateway
from integration.kubelet import ON_HAND, Kubelet, join_node, leave_node, running
from integration.namespace import Namespace
from integration.operating import Hire
from integration.waiting import eventually

pytestmark = [pytest.mark.step4, pytest.mark.long, pytest.mark.timeout(400)]

LIMIT = 1_000_000
PROMPT = "x" * 30_000
EACH = 30_100
LARGEST = 131_072 + EACH
"""What a request reserves while it is not known whether its provider keeps to limits."""
USAGE = {"usage": {"input": EACH - 40, "output": 40}}
REPLICAS = 3
REST_S = 12.0
"""Longer than between two passes over an agent that has just spent something."""


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    with run_mock(tmp_path / "mock", {"replies": [USAGE]}) as found:
        yield found


@pytest.fixture
async def node(own_namespace: Namespace) -> AsyncIterator[Kubelet]:
    found = await join_node(own_namespace.api, f"hand-{uuid.uuid4().hex[:8]}")
    try:
        yield found
    finally:
        await leave_node(found)


class Fleet:
    """The agent's Pods, and a client that spends as fast as they let it."""

    def __init__(self, namespace: Namespace, node: Kubelet, folder: Path) -> None:
        self._namespace, self._node, self._folder = namespace, node, folder
        self.pods: dict[str, PlayedGateway] = {}

    async def take_new(self) -> None:
        """Start the gateway of each Pod that has none."""
        config = (await self._namespace.finds("configmaps", "spender-berth"))["data"]
        for document in await self._namespace.pods("spender"):
            metadata = document["metadata"]
            if metadata["name"] not in self.pods:
                name = await self._node.take(document)
                pod = PlayedGateway(name, metadata["uid"], self._folder / name, config)
                self.pods[name] = pod
                await self._node.report(name, "Running", init={"llmgateway": running()}, main={"agent": running()})
                await self._namespace.api.patch("pods", name, {"status": {"podIP": pod.address}}, part="status")

    async def spend(self, session: aiohttp.ClientSession, until: asyncio.Event, said: list[str]) -> None:
        """Ask any of the Pods, again and again."""
        body = {"model": "auto", "max_tokens": 40, "messages": [{"role": "user", "content": PROMPT}]}
        while not until.is_set():
            pod = random.choice(list(self.pods.values()))  # noqa: S311 - no secret
            try:
                async with session.post(f"{pod.gateway.url}/v1/chat/completions", json=body) as answer:
                    if answer.status != 200:
                        said.append((await answer.json())["error"]["code"])
                        await asyncio.sleep(0.2)
            except aiohttp.ClientError:
                await asyncio.sleep(0.2)

    def close(self) -> None:
        for pod in self.pods.values():
            pod.kill()


async def shown(namespace: Namespace) -> Document:
    agent = await namespace.agent("spender")
    found: Document = (agent.get("status", {}).get("llmStatus") or {}).get("budget") or {}
    return found


async def test_no_more_is_spent_than_granted_whatever_is_killed(
    own_namespace: Namespace, hire: Hire, node: Kubelet, mock: Mock, tmp_path: Path
) -> None:
    operator = hire(own_namespace, "--leader-election=false")
    provider = {"name": "main", "type": "openai-compatible", "config": {"baseUrl": mock.url, "model": "mock"}}
    llm = {"providers": [provider], "budget": {"tokensPerHour": LIMIT, "tokensPerDay": LIMIT}}
    await own_namespace.create("spender", llm=llm, replicas=REPLICAS, resources=ON_HAND)
    await own_namespace.has_pods("spender", REPLICAS)
    fleet, done = Fleet(own_namespace, node, tmp_path), asyncio.Event()
    said: list[str] = []

    async def spent() -> int:
        return EACH * sum(mock.counts().values())

    async def spent_at_least(tokens: int) -> bool:
        return await spent() >= tokens

    with ExitStack() as stack:
        stack.callback(fleet.close)
        await fleet.take_new()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(fleet.spend(session, done, said))
            await eventually(lambda: spent_at_least(3 * EACH), within_s=90)
            operator.kill()
            first, second, _ = fleet.pods.values()
            first.kill()
            first.gateway = first.start()
            operator.start()
            second.kill()
            await node.report(second.name, "Running", init={"llmgateway": running()}, main={"agent": running()})
            await own_namespace.api.call(
                "DELETE", f"/api/v1/namespaces/{own_namespace.name}/pods/{second.name}", {"gracePeriodSeconds": 0}
            )
            del fleet.pods[second.name]
            await own_namespace.has_pods("spender", REPLICAS)
            await fleet.take_new()
            operator.kill()
            operator.start()
            await eventually(lambda: _told(said, "budget_exceeded"), within_s=150)
            done.set()

        assert 3 * EACH <= await spent() <= LIMIT + EACH
        budget = await shown(own_namespace)
        for limit in budget["limits"]:
            assert limit["limit"] == LIMIT
            assert limit["spent"] <= limit["granted"] <= LIMIT + LARGEST
        assert f"of {LIMIT} tokens per hour" in budget["summary"]
        await eventually(lambda: is_at_rest(own_namespace), within_s=120)


async def is_at_rest(namespace: Namespace) -> bool:
    """Whether nothing is written for an agent that spends nothing, although its gateways are asked."""
    before = (await namespace.agent("spender"))["metadata"]["resourceVersion"]
    await asyncio.sleep(REST_S)
    return bool((await namespace.agent("spender"))["metadata"]["resourceVersion"] == before)


async def _told(said: list[str], code: str) -> bool:
    return code in said[-50:]
