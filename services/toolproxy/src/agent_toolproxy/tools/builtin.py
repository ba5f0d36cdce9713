"""Tools of the proxy itself, as an entry of the configuration."""

from collections.abc import Callable

from agent_api.toolsconfig import PlannedTool
from agent_toolproxy.call import Offer
from agent_toolproxy.memory.notes import Notes
from agent_toolproxy.memory.tools import memory_offers
from agent_toolproxy.tools.entry import Entry


class MemoryEntry(Entry):
    """The memory's tools. Ready at once: that the memory is away is told by each call and by the report."""

    def __init__(self, planned: PlannedTool, notes: Notes | None, on_change: Callable[[], None]) -> None:
        super().__init__(planned, "builtin", on_change)
        self._notes = notes
        self.description = "What the agent remembers, in its Redis."

    async def run(self) -> None:
        """Offer the tools, if there is a memory."""
        if self._notes is None:
            self.become("failed", "the agent has no memory: set spec.memory")
            return
        self.source = "builtin: memory"
        self.offers: tuple[Offer, ...] = memory_offers(self._notes)
        self.become("ready")
