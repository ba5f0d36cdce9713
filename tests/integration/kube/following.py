"""A running watcher of one store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agent_base.backoff import Backoff
from agent_kube import (
    Client,
    Store,
)
from agent_kube.cache.watcher import Watcher


@asynccontextmanager
async def following(client: Client, store: Store[Any], namespace: str, **options: Any) -> AsyncIterator[list[str]]:
    outcomes: list[str] = []
    watcher = Watcher(
        client,
        store,
        namespace,
        backoff=Backoff(first_s=0.05, longest_s=1),
        observe=lambda _resource, outcome: outcomes.append(outcome),
        **options,
    )
    task = asyncio.create_task(watcher.run())
    try:
        yield outcomes
    finally:
        task.cancel()
        await asyncio.wait([task])
