"""One tool of the configuration, from being asked for to being served."""

import asyncio
import itertools
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from agent_api.toolsconfig import PlannedTool
from agent_api.toolsreport import ToolReport, ToolState
from agent_base.backoff import Backoff
from agent_kit.calls import rfc3339
from agent_toolproxy.call import Kind, ServedTool
from agent_toolproxy.errors import InstallError
from agent_toolproxy.tools.commandtool import CommandTool
from agent_toolproxy.tools.discovery import FoundTool
from agent_toolproxy.tools.lanes import Lanes
from agent_toolproxy.tools.provision import Program, Provisioner

WAITING: Final = "waiting until tools that are prepared before it are done"
INSTALLING: Final = "finding or installing its program"
RETRY: Final = Backoff(first_s=1.0, longest_s=120.0, low=1.0)
RETRY_OWN_CODE: Final = Backoff(first_s=1.0, longest_s=5.0, low=1.0)
"""While the agent's code and packages are being prepared, which the agent's start waits for."""
_log = logging.getLogger(__name__)


class ConfiguredTool(ABC):
    """A tool's state, and the tools it serves. `run` is its whole life; `on_change` is told of every change."""

    def __init__(self, planned: PlannedTool, kind: Kind, on_change: Callable[[], None]) -> None:
        self.planned = planned
        self.kind = kind
        self.state: ToolState = "pending"
        self.error = ""
        self.progress = ""
        """What it is doing while it is not ready."""
        self.last_error = ""
        self.since = rfc3339(time.time())
        self.version = ""
        self.source = ""
        self.digest = ""
        self.description = ""
        self.served_tools: tuple[ServedTool, ...] = ()
        self.set_aside: Mapping[str, str] = {}
        """Tools that a server has and that are not served, with the reason."""
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
        """Around each call, so that the tool is not closed under it."""
        self._calls += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    @property
    def is_in_use(self) -> bool:
        """Whether a call is running."""
        return self._calls > 0

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
            progress=self.progress,
            last_error=self.last_error,
            since=self.since,
        )

    def set_state(self, state: ToolState, error: str = "") -> None:
        """Change the state, and say so."""
        if (state, error) != (self.state, self.error):
            if state != self.state:
                self.since = rfc3339(time.time())
            self.state, self.error = state, error
            self.last_error = error or self.last_error
            self.progress = ""
            level = logging.WARNING if state == "failed" else logging.INFO
            _log.log(level, "tool %s", state, extra={"tool": self.name, "reason": error})
        self._on_change()

    def show_progress(self, progress: str) -> None:
        """Say what is being done; it is gone with the next change of the state."""
        if progress != self.progress:
            self.progress = progress
            _log.info("tool progress", extra={"tool": self.name, "progress": progress})


class UnavailableTool(ConfiguredTool):
    """A tool that cannot be had as things are configured."""

    def __init__(self, planned: PlannedTool, error: InstallError, on_change: Callable[[], None]) -> None:
        super().__init__(planned, "command", on_change)
        self._failure = error

    async def run(self) -> None:
        self.set_state("failed", str(self._failure))


class ConfiguredCommand(ConfiguredTool):
    """A program."""

    def __init__(
        self,
        planned: PlannedTool,
        found: FoundTool,
        tool: CommandTool,
        provisioner: Provisioner,
        lanes: Lanes,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(planned, "command", on_change)
        self._lanes = lanes
        self._found = found
        self._tool = tool
        self._provisioner = provisioner
        self.description = found.definition.description

    async def run(self) -> None:
        """Find or install the program; try again while time may heal what is wrong."""
        for failures in itertools.count():
            try:
                await self._become_ready()
            except InstallError as error:
                self.set_state("failed", str(error))
                if not error.retryable:
                    return
            else:
                return
            retry = RETRY_OWN_CODE if self._found.is_own_code else RETRY
            await asyncio.sleep(retry.pause_s(failures))

    async def _provide(self) -> Program:
        if self._found.place in ("path", "installed"):
            return await self._provisioner.provide(self.name, self._found)
        self.set_state("installing", self.error)
        self.show_progress(WAITING)
        async with self._lanes.enter(required=self.planned.required):
            self.show_progress(INSTALLING)
            return await self._provisioner.provide(self.name, self._found, required=self.planned.required)

    async def _become_ready(self) -> None:
        program = await self._provide()
        self.version = program.version or self._found.version
        self.source = program.source
        self.digest = program.digest
        self._tool.program = program
        self.served_tools = (
            ServedTool(owner=self.name, kind="command", definition=self._tool.describe(), handler=self._tool),
        )
        self.set_state("ready")
