"""A new gateway.json without a restart: built beside the old one, exchanged in one step, the old one let to end."""

import asyncio
import logging
from collections.abc import Callable

from agent_kit.files import WatchedFile
from agent_llmgateway.config.loaded import LoadedConfig
from agent_llmgateway.config.roster import Roster
from agent_llmgateway.http.state import Core

_log = logging.getLogger(__name__)

OpenRoster = Callable[[LoadedConfig], Roster]


class Reloader:
    """Keeps `core.roster` the one of the newest good configuration."""

    def __init__(self, core: Core, watched: WatchedFile[LoadedConfig], open_roster: OpenRoster) -> None:
        self._core = core
        self._watched = watched
        self._open_roster = open_roster
        self.first = asyncio.Event()

    async def run(self) -> None:
        """Follow the file for ever."""
        async with asyncio.TaskGroup() as tasks:
            running: tuple[Roster, asyncio.Task[None]] | None = None
            async for loaded in self._watched.changes():
                roster = self._open_roster(loaded)
                task = tasks.create_task(roster.run(), name="roster")
                await roster.ready.wait()
                self._core.roster = roster
                self._core.tools.allowance.ratio = roster.config.limits.retry_ratio
                self.first.set()
                _log.info("configuration in use", extra={"config_hash": loaded.digest, "agent": loaded.config.agent})
                if running is not None:
                    tasks.create_task(_retire(*running), name="retire roster")
                running = (roster, task)


async def _retire(roster: Roster, task: "asyncio.Task[None]") -> None:
    """End a roster when its last request has."""
    await roster.wait_idle()
    task.cancel()
