"""Starts the parts in order and stops them in reverse: operations server, caches, leadership, workers.

A standby follows the cluster all the time, so that taking over costs no list. On stop the running reconciles end, the
lease is released, noted events are sent, and only then do the caches stop.
"""

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from itertools import groupby
from typing import Any, Protocol

from agent_kube.cache.store import Stores
from agent_kube.cache.watcher import Watcher
from agent_kube.cache.watchstate import WatchSettings
from agent_kube.client.client import Client
from agent_kube.control.controller import Controller
from agent_kube.errors import first_error
from agent_kube.events import EventRecorder
from agent_kube.metrics import Metrics
from agent_kube.runtime.elector import Elector
from agent_kube.runtime.health import Health

log = logging.getLogger(__name__)


class Stop(Protocol):
    """The request to stop: an asyncio.Event, or anything that can be awaited like one."""

    async def wait(self) -> object:
        """Return when everything is to stop."""


class Runtime:
    """Everything that runs. Without `elector` this instance always leads.

    `operations` is entered first and left last: the server of probes and metrics, given `health`.
    `drain_s`: how long running reconciles may take after the stop.
    """

    def __init__(  # noqa: PLR0913  it wires the parts
        self,
        client: Client,
        stores: Stores,
        *,
        controllers: Sequence[Controller],
        elector: Elector | None = None,
        recorder: EventRecorder | None = None,
        operations: Callable[[Health], AbstractAsyncContextManager[Any]] = lambda _health: nullcontext(),
        metrics: Metrics | None = None,
        watch_settings: WatchSettings | None = None,
        drain_s: float = 20.0,
        freeze: Callable[[], None] = gc.freeze,
    ) -> None:
        self._stores = stores
        self._controllers = controllers
        self._elector = elector
        self._recorder = recorder
        self._operations = operations
        self._drain_s = drain_s
        self._leading = False
        self._freeze = freeze
        self._watchers = list(_watchers(client, stores, metrics, watch_settings))
        self.health = Health(stores, self._watchers)
        if metrics:
            for store in stores:
                metrics.watch.cached.labels(str(store.source.resource)).set_function(store.__len__)
            for resource, watchers in groupby(self._watchers, key=lambda watcher: watcher.resource):
                metrics.watch.silence.labels(resource).set_function(partial(_silence_s, tuple(watchers)))

    async def run(self, stop: Stop) -> None:
        """Work until `stop` comes; then end in order.

        Raises LeadershipLost, or whatever a part ends with, after the other parts have ended.
        """
        async with self._operations(self.health):
            try:
                async with asyncio.TaskGroup() as background:
                    tasks = [background.create_task(watcher.run()) for watcher in self._watchers]
                    tasks.append(background.create_task(self.health.run()))
                    if self._recorder:
                        tasks.append(background.create_task(self._recorder.run()))
                    await self._work(stop)
                    for task in tasks:
                        task.cancel()
            except BaseExceptionGroup as errors:
                raise first_error(errors) from None

    async def _work(self, stop: Stop) -> None:
        working = asyncio.create_task(self._lead())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await self._drain(working)
            await _result(working)
            if self._recorder:
                await self._recorder.flush()
        finally:
            stopping.cancel()
            working.cancel()
            await asyncio.wait((working, stopping))

    async def _lead(self) -> None:
        await self._sync()
        if self._elector:
            await self._elector.run(self._run_controllers)
        else:
            await self._run_controllers()

    async def _sync(self) -> None:
        await self._stores.wait_synced()
        log.info("caches are complete: %d objects", sum(len(store) for store in self._stores))
        gc.collect()
        self._freeze()  # the collector would go through the caches again and again

    async def _run_controllers(self) -> None:
        self._leading = True
        async with asyncio.TaskGroup() as group:
            for controller in self._controllers:
                group.create_task(controller.run())

    async def _drain(self, working: asyncio.Task[None]) -> None:
        """Let the running reconciles end; what leads nothing or takes too long is cancelled."""
        for controller in self._controllers:
            controller.stop()
        if self._leading:
            await asyncio.wait((working,), timeout=self._drain_s)
        working.cancel()


def _silence_s(watchers: Sequence[Watcher[Any]]) -> float:
    """The longest of one kind, which has a watcher for each namespace."""
    return max(watcher.silence_s for watcher in watchers)


async def _result(task: asyncio.Task[None]) -> None:
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


def _watchers(
    client: Client, stores: Stores, metrics: Metrics | None, settings: WatchSettings | None
) -> Iterator[Watcher[Any]]:
    for store in stores:
        for scope in store.scopes:
            if metrics:
                yield Watcher(client, store, scope, settings=settings, observe=metrics.watch.step)
            else:
                yield Watcher(client, store, scope, settings=settings)
