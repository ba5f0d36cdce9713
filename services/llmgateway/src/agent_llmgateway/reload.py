"""A new gateway.json without a restart: built beside the old one, exchanged in one step, the old one let to end."""

import asyncio
import logging
from collections.abc import Callable

from agent_kit.files import WatchedFile
from agent_llmgateway.config.loaded import LoadedConfig
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.http.state import GatewayState

_log = logging.getLogger(__name__)

OpenProviders = Callable[[LoadedConfig], ProviderSet]


class Reloader:
    """Keeps `state.provider_set` the one of the newest good configuration."""

    def __init__(self, state: GatewayState, watched: WatchedFile[LoadedConfig], open_providers: OpenProviders) -> None:
        self._state = state
        self._watched = watched
        self._open_roster = open_providers
        self.first = asyncio.Event()

    async def run(self) -> None:
        """Follow the file for ever."""
        async with asyncio.TaskGroup() as tasks:
            running: tuple[ProviderSet, asyncio.Task[None]] | None = None
            async for loaded in self._watched.changes():
                provider_set = self._open_roster(loaded)
                task = tasks.create_task(provider_set.run(), name="provider_set")
                await provider_set.ready.wait()
                self._state.provider_set = provider_set
                self._state.failover.retry_budget.ratio = provider_set.config.limits.retry_ratio
                self.first.set()
                _log.info("configuration in use", extra={"config_hash": loaded.digest, "agent": loaded.config.agent})
                if running is not None:
                    tasks.create_task(_retire(*running), name="retire provider_set")
                running = (provider_set, task)


async def _retire(provider_set: ProviderSet, task: "asyncio.Task[None]") -> None:
    """End a provider_set when its last request has."""
    await provider_set.wait_idle()
    task.cancel()
