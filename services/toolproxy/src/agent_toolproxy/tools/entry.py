"""One tool of the configuration, from being asked for to being served."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from agent_api.toolsconfig import PlannedTool
from agent_api.toolsreport import ToolReport, ToolState
from agent_toolproxy.call import Kind, Offer
from agent_toolproxy.errors import InstallError
from agent_toolproxy.tools.commandtool import CommandTool
from agent_toolproxy.tools.discovery import Found
from agent_toolproxy.tools.provision import Provisioner

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 120.0
_log = logging.getLogger(__name__)


class Entry(ABC):
    """A tool's state, and what it offers. `run` is its whole life; `on_change` is told of every change."""

    def __init__(self, planned: PlannedTool, kind: Kind, on_change: Callable[[], None]) -> None:
        self.planned = planned
        self.kind = kind
        self.state: ToolState = "pending"
        self.error = ""
        self.version = ""
        self.source = ""
        self.digest = ""
        self.description = ""
        self.offers: tuple[Offer, ...] = ()
        self._on_change = on_change
        self._calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        """As it is asked for."""
        return self.planned.name

    @abstractmethod
    async def run(self) -> None:
        """Become ready and stay so, until cancelled. Returns when only another configuration can help."""

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Around each call, so that the entry is not closed under it."""
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def idle(self, timeout_s: float) -> None:
        """Return when no call is running, or after `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("a removed tool is closed under a running call", extra={"tool": self.name})

    def report(self) -> ToolReport:
        """The tool as the operator sees it."""
        return ToolReport(
            name=self.name,
            required=self.planned.required,
            state=self.state,
            kind=self.kind,
            version=self.version,
            source=self.source,
            digest=self.digest,
            error=self.error,
        )

    def become(self, state: ToolState, error: str = "") -> None:
        """Change the state, and say so."""
        if (state, error) != (self.state, self.error):
            self.state, self.error = state, error
            level = logging.WARNING if state == "failed" else logging.INFO
            _log.log(level, "tool %s", state, extra={"tool": self.name, "reason": error})
        self._on_change()


class FailedEntry(Entry):
    """A tool that cannot be had as things are configured."""

    def __init__(self, planned: PlannedTool, error: InstallError, on_change: Callable[[], None]) -> None:
        super().__init__(planned, "command", on_change)
        self._failure = error

    async def run(self) -> None:
        """Say so."""
        self.become("failed", str(self._failure))


class CommandEntry(Entry):
    """A program."""

    def __init__(
        self,
        planned: PlannedTool,
        found: Found,
        tool: CommandTool,
        provisioner: Provisioner,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(planned, "command", on_change)
        self._found = found
        self._tool = tool
        self._provisioner = provisioner
        self.description = found.definition.description

    async def run(self) -> None:
        """Find or install the program; try again while time may heal what is wrong."""
        delay_s = FIRST_RETRY_S
        while True:
            try:
                await self._become_ready()
            except InstallError as error:
                self.become("failed", str(error))
                if not error.retryable:
                    return
            else:
                return
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_RETRY_S)

    async def _become_ready(self) -> None:
        if self._found.place not in ("path", "installed"):
            self.become("installing", self.error)
        program = await self._provisioner.provide(self.name, self._found)
        self.version = program.version or self._found.version
        self.source = program.source
        self.digest = program.digest
        self._tool.program = program
        self.offers = (Offer(owner=self.name, kind="command", definition=self._tool.describe(), handler=self._tool),)
        self.become("ready")
