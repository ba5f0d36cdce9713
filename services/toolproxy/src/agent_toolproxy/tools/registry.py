"""The tools of the configuration: which there are, and the task that each one is.

A new configuration is compared with the present one: what is the same stays as it is, what is gone is closed when its
last call has ended, what is new or has changed begins. Failed tools begin again, since a new policy may let them be;
so does one that a new policy does not let be, which then says so.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agent_api.toolsconfig import PlannedTool, ToolDefinition, ToolsConfig
from agent_toolproxy.tools.changes import Changes
from agent_toolproxy.tools.configuredtool import ConfiguredTool
from agent_toolproxy.tools.discovery import is_allowed

_log = logging.getLogger(__name__)
_EMPTY: Final = ToolsConfig(agent="")
MEMORY: Final = "memory"


class ToolFactory(Protocol):
    """Makes a tool of what is planned; one that cannot be had is an UnavailableTool."""

    def __call__(self, planned: PlannedTool, /) -> ConfiguredTool:
        """The tool, which does not run yet."""


@dataclass(frozen=True)
class _Slot:
    tool: ConfiguredTool
    task: asyncio.Task[None]


class Registry:
    """The tools by name. `run` owns their tasks; `apply` brings a configuration."""

    def __init__(self, make_tool: ToolFactory, changes: Changes) -> None:
        self.configured = False
        self._applied = _EMPTY
        self._make_tool = make_tool
        self._changes = changes
        self._slots: dict[str, _Slot] = {}
        self._group: asyncio.TaskGroup | None = None
        self._running = asyncio.Event()

    def tools(self) -> Iterable[ConfiguredTool]:
        """In the order of the configuration."""
        return [slot.tool for slot in self._slots.values()]

    def tool(self, name: str) -> ConfiguredTool | None:
        """The tool that is planned under `name`."""
        slot = self._slots.get(name)
        return slot.tool if slot else None

    async def run(self) -> None:
        """Keep the tools' tasks until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._running.set()
            await asyncio.Event().wait()

    async def apply(self, config: ToolsConfig) -> None:
        """Make `config` the present configuration. `run` must be running, or begin to."""
        await self._running.wait()
        before, self._applied = self._applied, config
        present, slots, leaving = self._slots, dict[str, _Slot](), list[_Slot]()
        for planned in planned_tools(config):
            slot = present.pop(planned.name, None)
            if slot and _stays(slot.tool, planned, before, config):
                slots[planned.name] = slot
                continue
            if slot:
                leaving.append(slot)
            slots[planned.name] = self._start(self._make_tool(planned))
        leaving.extend(present.values())
        self._slots, self.configured = slots, True
        for slot in leaving:
            self._own(self._retire(slot), f"retire {slot.tool.name}")
        self._changes.mark()

    def _start(self, tool: ConfiguredTool) -> _Slot:
        return _Slot(tool, self._own(_run_contained(tool), f"tool {tool.name}"))

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        assert self._group is not None  # noqa: S101 - apply waits for it
        return self._group.create_task(work, name=name)

    async def _retire(self, slot: _Slot) -> None:
        """Close a tool when it gets no more calls and its last one has ended."""
        await self._changes.wait_settled()
        await slot.tool.idle(self._applied.limits.timeout_seconds)
        slot.task.cancel()
        _log.info("tool removed", extra={"tool": slot.tool.name})


async def _run_contained(tool: ConfiguredTool) -> None:
    """The boundary of one tool: what nobody foresaw ends in its failure, not in the proxy's."""
    try:
        await tool.run()
    except Exception as error:  # noqa: BLE001 - the boundary that this function is
        _log.exception("a tool failed", extra={"tool": tool.name})
        tool.set_state("failed", f"it could not be handled ({type(error).__name__}): see the proxy's log")


def planned_tools(config: ToolsConfig) -> list[PlannedTool]:
    """The tools of the configuration, required ones first; the memory's too when there is a memory."""
    planned = sorted({each.name: each for each in config.tools}.values(), key=lambda each: not each.required)
    if config.memory and all(each.name != MEMORY for each in planned):
        definition = ToolDefinition(name=MEMORY, source="builtin:memory")
        planned.append(PlannedTool(name=MEMORY, required=False, catalogue=definition))
    return planned


def _stays(tool: ConfiguredTool, planned: PlannedTool, before: ToolsConfig, after: ToolsConfig) -> bool:
    if tool.planned != planned or (tool.kind == "builtin" and before.memory != after.memory):
        return False
    if tool.state == "ready":
        return is_allowed(after.policy, tool.name)
    return _shared_part(before) == _shared_part(after)


def _shared_part(config: ToolsConfig) -> tuple[object, ...]:
    """What a tool that is not ready may be waiting for."""
    return config.policy, config.limits, config.python_url, config.npm_registry, config.index_folder
