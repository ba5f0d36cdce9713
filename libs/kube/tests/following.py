"""A running watcher of one store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from libs.kube.tests.fake_api import FakeApi

from agent_base.backoff import Backoff
from agent_kube import Store, WatchSettings
from agent_kube.cache.watcher import Watcher


def fast() -> Backoff:
    return Backoff(first_s=0.01, longest_s=0.1)


@asynccontextmanager
async def following(
    api: FakeApi,
    store: Store[Any],
    *,
    scope: str = "",
    settings: WatchSettings | None = None,
    backoff: Backoff | None = None,
    line_bytes: int = 2**20,
) -> AsyncIterator[list[str]]:
    outcomes: list[str] = []
    async with api.client(line_bytes=line_bytes) as client:
        watcher = Watcher(
            client,
            store,
            scope,
            settings=settings,
            backoff=backoff or fast(),
            observe=lambda _resource, outcome: outcomes.append(outcome),
        )
        task = asyncio.create_task(watcher.run())
        try:
            yield outcomes
        finally:
            task.cancel()
            await asyncio.wait([task])


def names(store: Store[Any]) -> list[str]:
    return sorted(obj.metadata.name for obj in store.items())
