"""One budget for all Pods of an agent, on a real API server and with real gateways, whatever is killed.

The test plays the kubelet: the gateways are processes on this machine, each at an address of the loopback that stands
for its Pod's. What they hold is what the API server says the operator granted. By the clock of the operator and of the
gateways an hour ends in the middle of it.
"""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest
from contract.llmgateway.harness import Mock, run_mock
from integration.api import Document
from integration.cluster import Cluster
from integration.gateways import PlayedGateway
from integration.kubelet import ON_HAND, Kubelet, join_node, leave_node, running
from integration.namespace import Namespace
from integration.operating import OperatorProcess
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
SHOW_S = 30.0
"""Between two writes that only show what was spent."""
EDGE_S = 25.0
"""From the start of the test to the end of an hour."""
WARN_AT_PERCENT = 50
RESTARTS = 2


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


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH: by the clock of programs that have it, an hour, not a day, ends in `EDGE_S`."""
    now = time.time()
    edge = now // 3600 * 3600
    shift = (edge + 3600 if edge % 86_400 == 0 else edge) - EDGE_S - now
    folder = tmp_path / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import time\nreal = time.time\ntime.time = lambda: real() + {shift!r}\n")
    return folder


class Fleet:
    """The agent's Pods, and a client that spends as fast as they let it."""

    def __init__(self, namespace: Namespace, node: Kubelet, folder: Path, clock: Path) -> None:
        self._namespace, self._node, self._folder, self._clock = namespace, node, folder, clock
        self.pods: dict[str, PlayedGateway] = {}

    async def take_new(self) -> None:
        """Start the gateway of each Pod that has none."""
        config = (await self._namespace.finds("configmaps", "spender-berth"))["data"]
        for document in await self._namespace.pods("spender"):
            metadata = document["metadata"]
            if metadata["name"] not in self.pods:
                name = await self._node.take(document)
                environ = {"PYTHONPATH": str(self._clock)}
                pod = PlayedGateway(name, metadata["uid"], self._folder / name, config, environ=environ)
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
    own_namespace: Namespace, cluster: Cluster, node: Kubelet, mock: Mock, clock: Path, tmp_path: Path
) -> None:
    provider = {"name": "main", "type": "openai-compatible", "config": {"baseUrl": mock.url, "model": "mock"}}
    budget = {"tokensPerHour": LIMIT, "tokensPerDay": LIMIT, "warnAtPercent": WARN_AT_PERCENT}
    fleet, done = Fleet(own_namespace, node, tmp_path, clock), asyncio.Event()
    said: list[str] = []
    flags = ("--lease-namespace", own_namespace.name, "--namespaces", own_namespace.name, "--leader-election=false")
    by_clock = ("env", f"PYTHONPATH={clock}")

    async def spent() -> int:
        return EACH * sum(mock.counts().values())

    async def spent_at_least(tokens: int) -> bool:
        return await spent() >= tokens

    async with AsyncExitStack() as stack:
        operator = stack.enter_context(
            OperatorProcess(cluster.kubeconfig, tmp_path, arguments=flags, within=by_clock)
        )  # fmt: skip
        await own_namespace.create(
            "spender", llm={"providers": [provider], "budget": budget}, replicas=REPLICAS, resources=ON_HAND
        )  # fmt: skip
        await own_namespace.has_pods("spender", REPLICAS)
        stack.callback(fleet.close)
        states = await stack.enter_async_context(own_namespace.history("spender"))
        began = time.monotonic()
        await fleet.take_new()
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(fleet.spend(session, done, said))
            await eventually(lambda: spent_at_least(3 * EACH), within_s=90)
            await kill_one_after_the_other(own_namespace, node, operator, fleet)
            await eventually(lambda: _told(said, "budget_exceeded"), within_s=150)
            done.set()

        assert 3 * EACH <= await spent() <= LIMIT + EACH
        await eventually(lambda: _has_turned(states), within_s=120)
        assert f"of {LIMIT} tokens per hour" in (await shown(own_namespace))["summary"]
        await eventually(lambda: is_at_rest(own_namespace), within_s=120)
        await eventually(lambda: _is_warned(own_namespace), within_s=60)
        check_limits(states)
        assert shows_in(states) <= 1 + RESTARTS + (time.monotonic() - began) / SHOW_S


async def kill_one_after_the_other(
    namespace: Namespace, node: Kubelet, operator: OperatorProcess, fleet: Fleet
) -> None:
    """The operator twice, a gateway that begins again, and a Pod that another one follows."""
    operator.kill()
    first, second, _ = fleet.pods.values()
    first.kill()
    first.gateway = first.start()
    operator.start()
    second.kill()
    await node.report(second.name, "Running", init={"llmgateway": running()}, main={"agent": running()})
    await namespace.api.call(
        "DELETE", f"/api/v1/namespaces/{namespace.name}/pods/{second.name}", {"gracePeriodSeconds": 0}
    )
    del fleet.pods[second.name]
    await namespace.has_pods("spender", REPLICAS)
    await fleet.take_new()
    operator.kill()
    operator.start()


def budgets_in(states: list[Document]) -> list[Document]:
    """What of the budget was written, one after the other."""
    found: list[Document] = []
    for state in states:
        budget = (state.get("status", {}).get("llmStatus") or {}).get("budget")
        if budget and (not found or found[-1] != budget):
            found.append(budget)
    return found


def check_limits(states: list[Document]) -> None:
    """Nothing that was ever written granted more than the limit and the one request that may go over it."""
    for budget in budgets_in(states):
        for limit in budget["limits"]:
            assert limit["limit"] == LIMIT
            assert limit["spent"] <= limit["granted"] <= LIMIT + LARGEST


def shows_in(states: list[Document]) -> int:
    """How many writes granted nothing, and noted no Pod that came or went: they only show what was spent."""
    budgets = budgets_in(states)
    return sum(_granting(before) == _granting(after) for before, after in pairwise(budgets))


def _granting(budget: Document) -> Document:
    ledger = budget["ledger"]
    shares = [{uid: share.get("goneAt", 0) > 0 for uid, share in pool["shares"].items()} for pool in ledger["pools"]]
    return {"serial": ledger["serial"], "shares": shares}


async def _has_turned(states: list[Document]) -> bool:
    """Whether the hour has ended."""
    hours = [limit for budget in budgets_in(states) for limit in budget["limits"] if limit["name"] == "tokensPerHour"]
    return len({limit["resetsAt"] for limit in hours}) > 1


async def _is_warned(namespace: Namespace) -> bool:
    """Whether each limit was said to be nearly spent; not much more than that it was passed."""
    texts = [event["message"] for event in await namespace.events("spender") if event["reason"] == "BudgetNearEnd"]
    percents = {name: int(rest.split()[0]) for name, _, rest in (text.partition(": ") for text in texts)}
    return percents.keys() >= {"tokensPerDay"} and min(percents.values()) >= WARN_AT_PERCENT


async def is_at_rest(namespace: Namespace) -> bool:
    """Whether nothing is written for an agent that spends nothing, although its gateways are asked."""
    before = (await namespace.agent("spender"))["metadata"]["resourceVersion"]
    await asyncio.sleep(REST_S)
    return bool((await namespace.agent("spender"))["metadata"]["resourceVersion"] == before)


async def _told(said: list[str], code: str) -> bool:
    return code in said[-50:]
