"""A run that is looked at: live in the console, and afterwards in a report."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from agentberth.console.report import write_report
from agentberth.console.runsource import RunSource
from agentberth.console.server import ConsoleServer, serving
from agentberth.local.pod import LocalProcess
from agentberth.local.ports import Ports
from agentberth.local.supervisor import Supervisor
from agentberth.terminal import Terminal


class Shown:
    """`following` is around the run, `conclude` after it. `report` is the file to write, if any."""

    def __init__(
        self, name: str, plans: Sequence[LocalProcess], ports: Ports, *, console: bool, report: Path | None
    ) -> None:
        self._supervisor: Supervisor | None = None
        self.source = RunSource(name, plans, ports, lambda: self._supervisor.exit_codes if self._supervisor else {})
        self.console = console
        self._report = report
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def following(self, supervisor: Supervisor, notes: Terminal) -> AsyncIterator[None]:
        """Watches the run; the console is there from its first moment on."""
        self._supervisor = supervisor
        supervisor.before_end = self.source.poll
        if self.console:
            address = await self._stack.enter_async_context(serving(ConsoleServer(self.source)))
            notes.line(f"console: {notes.paint(address, 'cyan')}")
        following = asyncio.create_task(self.source.follow(), name="follow the run")
        try:
            yield
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
            self.source.version += 1

    async def conclude(self, stop: asyncio.Event, notes: Terminal) -> None:
        """Writes the report; keeps the console until `stop`."""
        async with self._stack:
            if self._report is not None:
                await write_report(self._report, self.source)
                notes.line(f"report: {self._report}")
            if self.console and not stop.is_set():
                notes.line("the run is over; the console stays until Ctrl-C")
                await stop.wait()
