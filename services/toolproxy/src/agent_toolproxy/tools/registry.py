"""The tools of the configuration: which there are, and the task that each one is.

A new configuration is compared with the present one: what is the same stays as it is, what is gone is closed when its
last call has ended, what is new or has changed begins. Failed tools begin again, since a new policy may let them be;
so does one that a new policy does not let be, which then says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agent_api.toolsconfig import PlannedTool, ToolDefinition, ToolsConfig
from agent_toolproxy.tools.discovery import is_allowed
from agent_toolproxy.tools.entry import Entry

_log = logging.getLogger(__name__)
_EMPTY: Final = ToolsConfig(agent="")
MEMORY: Final = "memory"


class EntryFactory(Protocol):
    """Makes the entry of a planned tool; one that cannot be had is a FailedEntry."""

    def __call__(self, planned: PlannedTool, config: ToolsConfig, /) -> Entry:
        """The entry."""


@dataclass(frozen=True)
class _Slot:
    entry: Entry
    task: asyncio.Task[None]


class Registry:
    """The entries by name. `run` owns their tasks; `apply` brings a configuration.

    `unlisted` returns when no caller can be given what was there before the last change.
    """

    def __init__(
        self,
        make_entry: EntryFactory,
        on_change: Callable[[], None],
        unlisted: Callable[[], Awaitable[None]],
    ) -> None:
        self.config = _EMPTY
        self.configured = False
        self._make_entry = make_entry
        self._on_change = on_change
        self._unlisted = unlisted
        self._slots: dict[str, _Slot] = {}
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()

    def entries(self) -> Iterable[Entry]:
        """In the order of the configuration."""
        return [slot.entry for slot in self._slots.values()]

    def entry(self, name: str) -> Entry | None:
        """The entry of a planned tool."""
        slot = self._slots.get(name)
        return slot.entry if slot else None

    async def run(self) -> None:
        """Keep the entries' tasks until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            await asyncio.Event().wait()

    async def apply(self, config: ToolsConfig) -> None:
        """Make `config` the present configuration. `run` must be running, or begin to."""
        await self._running.wait()
        before, self.config = self.config, config
        present, slots, leaving = self._slots, dict[str, _Slot](), list[_Slot]()
        for planned in planned_tools(config):
            slot = present.pop(planned.name, None)
            if slot and _stays(slot.entry, planned, before, config):
                slots[planned.name] = slot
                continue
            if slot:
                leaving.append(slot)
            slots[planned.name] = self._start(self._make_entry(planned, config))
        leaving.extend(present.values())
        self._slots, self.configured = slots, True
        for slot in leaving:
            self._own(self._retire(slot), f"retire {slot.entry.name}")
        self._on_change()

    def _start(self, entry: Entry) -> _Slot:
        return _Slot(entry, self._own(entry.run(), f"tool {entry.name}"))

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._group is not None  # noqa: S101 - apply waits for it
        return self._group.create_task(work, name=name)

    async def _retire(self, slot: _Slot) -> None:
        """Close an entry when it gets no more calls and its last one has ended."""
        await self._unlisted()
        await slot.entry.idle(self.config.limits.timeout_seconds)
        slot.task.cancel()
        _log.info("tool removed", extra={"tool": slot.entry.name})


def planned_tools(config: ToolsConfig) -> list[PlannedTool]:
    """The tools of the configuration; the memory's are there when there is a memory, asked for or not."""
    planned = list({each.name: each for each in config.tools}.values())
    if config.memory and all(each.name != MEMORY for each in planned):
        definition = ToolDefinition(name=MEMORY, source="builtin:memory")
        planned.append(PlannedTool(name=MEMORY, required=False, catalogue=definition))
    return planned


def _stays(entry: Entry, planned: PlannedTool, before: ToolsConfig, after: ToolsConfig) -> bool:
    if entry.planned != planned or (entry.kind == "builtin" and before.memory != after.memory):
        return False
    if entry.state == "ready":
        return is_allowed(after.policy, entry.name)
    return _shared_part(before) == _shared_part(after)


def _shared_part(config: ToolsConfig) -> tuple[object, ...]:
    """What a tool that is not ready may be waiting for."""
    return config.policy, config.limits, config.python_url, config.npm_registry, config.index_folder
