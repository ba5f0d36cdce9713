"""Synced caches of a fake API server and an applier on them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import (
    MANAGER,
    MARK,
    WIDGETS,
    Widget,
    config_maps,
    deployments,
    eventually,
    widgets,
)

from agent_base.backoff import Backoff
from agent_kube import (
    Applier,
    Client,
    ObjectKey,
    Request,
    Source,
    Stores,
)
from agent_kube.cache.watcher import Watcher


@dataclass
class World:
    """Synced caches and an applier on them; `owner` is a cached Widget."""

    api: FakeApi
    stores: Stores
    applier: Applier

    @property
    def owner(self) -> Widget:
        [root] = [store for store in self.stores if store.source.resource == WIDGETS]
        owner = root.get(ObjectKey("default", "w"))
        assert isinstance(owner, Widget)
        return owner

    def request(self) -> Request:
        return Request(ObjectKey("default", "w"), "id")

    async def apply(self, *children: Any) -> Any:
        request = self.request()
        applied = await self.applier.apply(request, self.owner, children)
        await self.caught_up(request)
        return applied

    async def caught_up(self, request: Request) -> None:
        await eventually(lambda: all(expectation.met(self.stores) for expectation in request.writes.expected))

    def source(self, resource: Any) -> Any:
        return next(store.source for store in self.stores if store.source.resource == resource)


@asynccontextmanager
async def world(api: FakeApi, client: Client, maps: Source[Any] | None = None) -> AsyncIterator[World]:
    root = widgets()
    stores = Stores([root, deployments(), maps or config_maps()])
    applier = Applier(client, stores, root=root, field_manager=MANAGER, mark=MARK)
    watchers = [Watcher(client, store, "", backoff=Backoff(first_s=0.01, longest_s=30)) for store in stores]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    try:
        await stores.wait_synced()
        yield World(api, stores, applier)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _managed(here: World, resource: Any, name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = here.api.read(resource, name)["metadata"]["managedFields"]
    return entries


def _version(here: World, resource: Any, name: str) -> int:
    live = here.stores[here.source(resource)].get(ObjectKey("default", name))
    return int(live.metadata.resource_version) if live else 0
