"""Tools of the proxy itself, as a tool of the configuration."""

from collections.abc import Callable

from agent_api.toolsconfig import PlannedTool
from agent_toolproxy.call import ServedTool
from agent_toolproxy.memory.notes import Notes
from agent_toolproxy.memory.tools import memory_tools
from agent_toolproxy.tools.configuredtool import ConfiguredTool


class ConfiguredMemory(ConfiguredTool):
    """The memory's tools. Ready at once: that the memory is away is told by each call and by the report."""

    def __init__(self, planned: PlannedTool, notes: Notes | None, on_change: Callable[[], None]) -> None:
        super().__init__(planned, "builtin", on_change)
        self._notes = notes
        self.description = "What the agent remembers, in its Redis."

    async def run(self) -> None:
        """ServedTool the tools, if there is a memory."""
        if self._notes is None:
            self.set_state("failed", "the agent has no memory: set spec.memory")
            return
        self.source = "builtin: memory"
        self.served_tools: tuple[ServedTool, ...] = memory_tools(self._notes)
        self.set_state("ready")
