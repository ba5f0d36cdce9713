"""A whole operator on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    MANAGER,
    MARK,
    WIDGETS,
    Widget,
    config_map,
    config_maps,
    widget,
    widgets,
)

from agent_kube import (
    Access,
    Applier,
    Client,
    Controller,
    Done,
    Elector,
    EventRecorder,
    LeaseTimes,
    Limits,
    ObjectKey,
    Outcome,
    Request,
    Runtime,
    Settings,
    Stores,
    WatchSettings,
)

TIMES = LeaseTimes(lease_s=4, renew_deadline_s=2, retry_s=0.2, margin_s=0.5, call_s=1)


CHILDREN = 3


@dataclass
class Operator:
    """Each Widget gets some ConfigMaps with its size, and a status that says so."""

    client: Client
    namespace: str
    identity: str
    times: LeaseTimes = TIMES
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    passes: int = 0

    def __post_init__(self) -> None:
        self.root, self.maps = widgets(), config_maps()
        self.stores = Stores([self.root, self.maps], namespaces=(self.namespace,))
        self.applier = Applier(self.client, self.stores, root=self.root, field_manager=MANAGER, mark=MARK)
        self.recorder = EventRecorder(self.client, controller=MANAGER, instance=self.identity)
        controller = Controller(
            self.reconcile,
            name="widget",
            stores=self.stores,
            root=self.root,
            owns=[self.maps],
            settings=Settings(workers=4, settle_s=0.02, lag_timeout_s=2),
        )
        self.runtime = Runtime(
            self.client,
            self.stores,
            controllers=[controller],
            elector=Elector(
                self.client,
                namespace=self.namespace,
                name="lock",
                identity=self.identity,
                times=self.times,
                abort=lambda: pytest.fail("the process would have been ended"),
            ),
            recorder=self.recorder,
            watch_settings=WatchSettings(page_size=5, silence_s=2),
            freeze=lambda: None,
        )

    async def reconcile(self, request: Request) -> Outcome:
        self.passes += 1
        found = self.stores[self.root].get(request.key)
        if found is not None and not found.metadata.deletion_timestamp:
            await self.converge(request, found)
        return Done()

    async def converge(self, request: Request, found: Widget) -> None:
        size = str(msgspec.json.decode(found.spec).get("size", 1))
        name = found.metadata.name
        children = [config_map(f"{name}-{number}", self.namespace, size=size) for number in range(CHILDREN)]
        (await self.applier.apply(request, found, children)).raise_first()
        await self.applier.prune(request, found, children)
        await self.applier.patch_status(request, found, {"size": size})
        self.recorder.event(WIDGETS, found, "Normal", "Synced", "Reconcile", f"size {size}")


@asynccontextmanager
async def operating(
    access: Access, namespace: str, identity: str = "one", times: LeaseTimes = TIMES
) -> AsyncIterator[tuple[Operator, Any]]:
    async with Client(access, limits=Limits(call_s=2, connect_s=1)) as client:
        operator = Operator(client, namespace, identity, times)
        task = asyncio.create_task(operator.runtime.run(operator.stop))
        try:
            yield operator, task
            operator.stop.set()
            await asyncio.wait([task], timeout=30)
        finally:
            task.cancel()
            await asyncio.wait([task])


async def settled(client: Client, namespace: str, sizes: dict[str, int]) -> bool:
    wanted = {f"{name}-{number}": str(size) for name, size in sizes.items() for number in range(CHILDREN)}
    raw = await client.list_page(CONFIG_MAPS, namespace, {}, accept="application/json")
    found = {item["metadata"]["name"]: item.get("data") for item in msgspec.json.decode(raw)["items"]}
    found.pop("kube-root-ca.crt", None)
    assert found == {name: {"size": size} for name, size in wanted.items()}
    statuses = {name: (await client.get(WIDGETS, ObjectKey(namespace, name))).get("status") for name in sizes}
    assert statuses == {name: {"size": str(size)} for name, size in sizes.items()}
    return True


async def disturb(client: Client, namespace: str) -> dict[str, int]:
    """Creates, edits and deletes while trouble goes on; answers the sizes that must come of it."""
    for number in range(12):
        await client.create(WIDGETS, widget(f"w{number}", namespace, size=number))
    await asyncio.sleep(0.5)
    for number in range(6):
        await client.patch(WIDGETS, ObjectKey(namespace, f"w{number}"), {"spec": {"size": 100 + number}})
    for number in range(9, 12):
        await client.delete(WIDGETS, ObjectKey(namespace, f"w{number}"))
    return {f"w{number}": 100 + number if number < 6 else number for number in range(9)}
