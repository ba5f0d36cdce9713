"""A whole operator on the fake API server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from libs.kube.tests.fake_api import Called, FakeApi
from libs.kube.tests.kinds import (
    DEPLOYMENTS,
    MANAGER,
    MARK,
    WIDGETS,
    Widget,
    config_map,
    config_maps,
    deployment,
    deployments,
    widgets,
)
from prometheus_client import CollectorRegistry

from agent_kube import (
    Applier,
    Controller,
    Done,
    Elector,
    EventRecorder,
    Health,
    LeaseTimes,
    Metrics,
    Outcome,
    Request,
    Runtime,
    Settings,
    Stores,
    WatchSettings,
)

TIMES = LeaseTimes(lease_s=8, renew_deadline_s=5, retry_s=0.1, margin_s=0.5, call_s=1)


class Operator:
    """A whole operator: each Widget gets a ConfigMap and a Deployment, and a status that counts them."""

    def __init__(self, client: Any, name: str, **options: Any) -> None:
        self.root, self.deploys, self.maps = widgets(), deployments(), config_maps()
        self.stores = Stores([self.root, self.deploys, self.maps])
        self.applier = Applier(client, self.stores, root=self.root, field_manager=MANAGER, mark=MARK)
        self.recorder = EventRecorder(client, controller=MANAGER, instance=name)
        self.registry = CollectorRegistry()
        self.hold = asyncio.Event()
        self.hold.set()
        self.started = self.finished = 0
        self.log: list[str] = []
        metrics = Metrics(self.registry)
        controller = Controller(
            self.reconcile,
            name="widget",
            stores=self.stores,
            root=self.root,
            owns=[self.deploys, self.maps],
            settings=Settings(settle_s=0.01),
            metrics=metrics,
        )
        elector = Elector(client, namespace="default", name="lock", identity=name, times=TIMES)
        self.runtime = Runtime(
            client,
            self.stores,
            controllers=[controller],
            elector=elector if options.get("elect", True) else None,
            recorder=self.recorder,
            operations=self.operations,
            metrics=metrics,
            watch_settings=WatchSettings(page_size=2),
            freeze=lambda: self.log.append("frozen"),
        )

    @asynccontextmanager
    async def operations(self, health: Health) -> AsyncIterator[None]:
        self.log.append(f"operations up, {'unready' if health.unready() else 'ready'}")
        try:
            yield
        finally:
            self.log.append("operations down")

    async def reconcile(self, request: Request) -> Outcome:
        self.log.append("reconcile")
        self.started += 1
        await self.hold.wait()
        found = self.stores[self.root].get(request.key)
        if found is not None and not found.metadata.deletion_timestamp:
            await self.converge(request, found)
        self.finished += 1
        return Done()

    async def converge(self, request: Request, found: Widget) -> None:
        size = msgspec.json.decode(found.spec).get("size", 1)
        name = found.metadata.name
        children = [config_map(name, size=str(size)), deployment(name)][: 2 if size else 1]
        (await self.applier.apply(request, found, children)).raise_first()
        await self.applier.prune(request, found, children)
        owned = self.stores[self.deploys].owned_by(found.metadata.uid)
        await self.applier.patch_status(request, found, {"deployments": len(owned)})
        self.recorder.event(WIDGETS, found, "Normal", "Synced", "Reconcile", f"{len(owned)} deployments")


@asynccontextmanager
async def operating(
    api: FakeApi, name: str = "one", **options: Any
) -> AsyncIterator[tuple[Operator, asyncio.Task[None]]]:
    async with api.client() as client:
        operator = Operator(client, name, **options)
        stop = asyncio.Event()
        operator.stop = stop  # type: ignore[attr-defined]
        task = asyncio.create_task(operator.runtime.run(stop))
        try:
            yield operator, task
            stop.set()
            await asyncio.wait([task], timeout=20)
        finally:
            task.cancel()
            await asyncio.wait([task])
        if options.get("check", True):
            task.result()


def pages(api: FakeApi) -> list[Called]:
    return [call for call in api.called("list") if "limit" in call.query]


def settled(api: FakeApi, count: int) -> bool:
    return len(api.names(DEPLOYMENTS)) == count and all(
        api.read(WIDGETS, name).get("status", {}).get("deployments") == 1 for name in api.names(WIDGETS)
    )
