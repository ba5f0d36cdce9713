"""The phases of a run: converge, hand over, stay."""

import asyncio
import re
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents import agent_document
from floor import create_namespace, in_parallel
from integration.api import AGENTS, Api, open_api
from integration.cluster import Cluster
from integration.operating import OperatorProcess
from integration.waiting import eventually
from pod import ACCOUNT, SYSTEM, as_in_pod
from processes import CpuMeter, memory_mb, while_runs

NAMESPACE = "bench"
ALONE = 20
OURS = frozenset(
    {
        AGENTS, "serviceaccounts", "configmaps", "networkpolicies", "services", "deployments",
        "secrets", "statefulsets", "horizontalpodautoscalers", "poddisruptionbudgets",
    }
)  # fmt: skip
WRITES = frozenset({"POST", "PATCH", "APPLY", "DELETE"})
PATIENCE_S = 3600


@dataclass(frozen=True)
class Converged:
    """From the first create until every AgentType says Running and Ready."""

    rate: float
    p50_s: float
    p99_s: float
    alone_p50_s: float
    writes_per_agent: float
    cpu_ms: Mapping[str, float]
    rss_mb: float
    peak_mb: float


@dataclass(frozen=True)
class Steady:
    """What was written while nothing changed, and how often the operator looked."""

    writes: int
    passes: int
    rss_mb: float


@dataclass(frozen=True)
class HandOver:
    """How long nobody led."""

    seconds: float


def start_operator(cluster: Cluster, folder: Path, name: str, *arguments: str) -> OperatorProcess:
    """An operator of the benchmark's namespace, with a lease, as in its Pod."""
    scope = ("--namespaces", NAMESPACE, "--lease-namespace", SYSTEM)
    within = as_in_pod(cluster, folder / ACCOUNT)
    return OperatorProcess(cluster.kubeconfig, folder, name=name, arguments=(*scope, *arguments), within=within)


async def converge(cluster: Cluster, pid: int, count: int, shape: str, *, namespace: str = NAMESPACE) -> Converged:
    """Creates `count` AgentTypes as fast as the server takes them, and waits until operator `pid` has done them all."""
    async with open_api(cluster.access, namespace) as api:
        await create_namespace(api)
        alone = [await while_runs(pid, one_alone(api, count + number, shape)) for number in range(ALONE)]
        writes, meter = await writes_so_far(api, OURS), CpuMeter(cluster, pid)
        told = asyncio.create_task(follow(api, count))
        await asyncio.sleep(0.2)
        started = time.monotonic()
        numbers = range(count)
        await in_parallel(numbers, lambda number: create(api, number, shape))
        first_status = await while_runs(pid, told)
        seconds = time.monotonic() - started
        writes = await writes_so_far(api, OURS) - writes
    centiles = statistics.quantiles(first_status, n=100)
    return Converged(
        rate=count / seconds,
        p50_s=centiles[49],
        p99_s=centiles[98],
        alone_p50_s=statistics.median(alone),
        writes_per_agent=(writes - count) / count,  # the AgentTypes themselves are not the operator's
        cpu_ms=meter.per_agent_ms(count),
        rss_mb=memory_mb(pid, "VmRSS"),
        peak_mb=memory_mb(pid, "VmHWM"),
    )


async def create(api: Api, number: int, shape: str) -> None:
    """One AgentType."""
    await api.create(AGENTS, agent_document(number, api.namespace, shape))


async def one_alone(api: Api, number: int, shape: str) -> float:
    """Seconds from the create of one AgentType to its first status, with nothing else to do."""
    name = agent_document(number, api.namespace, shape)["metadata"]["name"]
    await create(api, number, shape)
    started = time.monotonic()
    seconds = 0.0
    async for state in api.follow(AGENTS, name):
        status = state.get("status", {})
        if status and not seconds:
            seconds = time.monotonic() - started
        if status.get("phase") == "Running":
            break
    return seconds


async def follow(api: Api, count: int) -> list[float]:
    """Seconds from creation to first status of each AgentType, once `count` of them are ready. One clock."""
    seen: dict[str, float] = {}
    answered: dict[str, float] = {}
    ready: set[str] = set()
    async for state in api.follow(AGENTS):
        name, status = state["metadata"]["name"], state.get("status", {})
        if int(name.rsplit("-", 1)[1]) >= count:
            continue
        seen.setdefault(name, time.monotonic())
        if status:
            answered.setdefault(name, time.monotonic() - seen[name])
        if status.get("phase") == "Running" and status.get("reason") == "Ready":
            ready.add(name)
        if len(ready) == count:
            break
    return list(answered.values())


async def hand_over(leader: OperatorProcess, standby: OperatorProcess, how: str) -> HandOver:
    """Ends the leader and waits until the standby leads."""
    await eventually(leader.leads)
    started = time.monotonic()
    ending = asyncio.create_task(leader.terminate()) if how == "TERM" else None
    if ending is None:
        leader.kill()
    await eventually(standby.leads)
    seconds = time.monotonic() - started
    if ending is not None:
        await ending
    return HandOver(seconds)


async def stay(cluster: Cluster, operator: OperatorProcess, count: int, *, resyncs: int, resync_s: float) -> Steady:
    """Waits for `resyncs` looks at every AgentType, from the end of the first one after the takeover."""

    async def passes() -> float:
        return await operator.metric("controller_runtime_reconcile_total")

    async def passed(goal: float) -> bool:
        await asyncio.sleep(resync_s / 10)  # a look at the metrics is not for nothing
        return await passes() >= goal

    await eventually(partial(passed, count), within_s=PATIENCE_S)
    async with open_api(cluster.access, NAMESPACE) as api:
        start, before, told = await passes(), await writes_so_far(api, OURS), await events_of_ours(api)
        await eventually(partial(passed, start + resyncs * count), within_s=PATIENCE_S)
        writes = await writes_so_far(api, OURS) - before + len(await events_of_ours(api) - told)
        return Steady(writes, int(await passes() - start), memory_mb(operator.pid, "VmRSS"))


async def events_of_ours(api: Api) -> set[tuple[str, str]]:
    """Name and version of each event about an AgentType; autoscalers without metrics have their own to tell."""
    return {
        (event["metadata"]["name"], event["metadata"]["resourceVersion"])
        for event in await api.list("events")
        if event["involvedObject"]["kind"] == "AgentType"
    }


async def writes_so_far(api: Api, kinds: frozenset[str]) -> int:
    """Writes that the API server has counted of `kinds`; PUT is the deployment controller's, the operator has none."""
    total = 0
    text = await api.text("/metrics")
    for labels, value in re.findall(r"^apiserver_request_total\{([^}]*)\} (\S+)$", text, re.MULTILINE):
        known = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        mine = known["resource"] in kinds and (not known["subresource"] or known["resource"] == AGENTS)
        if mine and known["verb"] in WRITES:
            total += int(float(value))
    return total
