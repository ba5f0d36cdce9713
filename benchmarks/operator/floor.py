"""The floor: the same children, posted by a client that does nothing else."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from agents import PLURALS, Document, agent_document, children
from integration.api import Api, open_api
from integration.cluster import Cluster
from processes import CpuMeter

T = TypeVar("T")

NAMESPACE = "bench-floor"
CLIENTS = 32


@dataclass(frozen=True)
class Floor:
    """Agents per second until all their Pods are ready."""

    rate: float
    cpu_ms: Mapping[str, float]


async def run_floor(cluster: Cluster, count: int, shape: str) -> Floor:
    """Creates the children of `count` agents."""
    manifests = [children(agent_document(number, NAMESPACE, shape)) for number in range(count)]
    async with open_api(cluster.access, NAMESPACE) as api:
        await create_namespace(api)
        meter, started = CpuMeter(cluster), time.monotonic()
        await in_parallel(manifests, lambda parts: post_all(api, parts))
        await until_ready(api, count)
        return Floor(count / (time.monotonic() - started), meter.per_agent_ms(count))


async def create_namespace(api: Api) -> None:
    """The client's namespace."""
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": api.namespace}}
    await api.call("POST", "/api/v1/namespaces", document)


async def post_all(api: Api, manifests: tuple[Document, ...]) -> None:
    """One agent's children, in their order."""
    for manifest in manifests:
        await api.call("POST", PLURALS[manifest["kind"]].format(api.namespace), manifest)


async def in_parallel(items: Iterable[T], work: Callable[[T], Awaitable[None]]) -> None:
    """`work` on every item, `CLIENTS` at a time."""
    left = iter(items)

    async def client() -> None:
        for item in left:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())


async def until_ready(api: Api, count: int) -> None:
    """Returns when `count` Deployments have a ready Pod, as their watch tells."""
    ready: set[str] = set()
    async for deployment in api.follow("deployments"):
        if deployment["status"].get("readyReplicas"):
            ready.add(deployment["metadata"]["name"])
        if len(ready) == count:
            return
