"""An MCP server behind the proxy, as a tool of the configuration: connected, watched, connected again.

Its tools stay listed while it is away: a list that comes and goes would cost every client its cache. A call meanwhile
waits a little for the connection, and then says what is wrong.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent_api.toolsconfig import PlannedTool, ToolLimits, ToolOptions
from agent_toolproxy.call import Call, Json, Offer
from agent_toolproxy.errors import InstallError, ToolBusy, ToolProxyError, UpstreamError, UpstreamUnavailable
from agent_toolproxy.mcp.client import Era, Session
from agent_toolproxy.mcp.export import ExportedTool, export_tools
from agent_toolproxy.mcp.messages import TOOLS_CHANGED
from agent_toolproxy.mcp.outcome import show_failure, show_result
from agent_toolproxy.tools.connect import Connection, Connector
from agent_toolproxy.tools.entry import Entry
from agent_toolproxy.tools.gate import Gate

FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 30.0
HEALTHY_S: Final = 60.0
"""Connected for so long, the next retry is as quick as the first."""
CHECK_EVERY_S: Final = 30.0
CONCURRENCY: Final = 64
"""Calls of one server at a time; more wait."""


class UpstreamEntry(Entry):
    """One server. Its offers are its tools."""

    def __init__(
        self,
        planned: PlannedTool,
        options: ToolOptions,
        connector: Connector,
        *,
        limits: Callable[[], ToolLimits],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(planned, "mcp", on_change)
        self.description = options.description
        self._options = options
        self._connector = connector
        self._limits = limits
        self._era: Era | None = None
        self._connecting = False
        self._may_be_silent = False
        self._session: Session | None = None
        self._connected = asyncio.Event()
        self._look = asyncio.Event()
        self.gate = Gate(CONCURRENCY)

    @property
    def limits(self) -> ToolLimits:
        """As they are now."""
        return self._limits()

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost."""
        delay_s = FIRST_RETRY_S
        while True:
            began = time.monotonic()
            failure = await self._live_until_failure()
            self.become("failed", str(failure))
            if isinstance(failure, InstallError) and not failure.retryable:
                return
            delay_s = FIRST_RETRY_S if time.monotonic() - began > HEALTHY_S else delay_s
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_RETRY_S)

    async def _live_until_failure(self) -> ToolProxyError:
        try:
            await self._live()
        except* (UpstreamError, InstallError) as group:
            failure = _first(group)
        else:
            failure = UpstreamUnavailable("the connection ended")
        if self._connecting and isinstance(failure, UpstreamError):
            # A server that ends itself over the probe is an old one; one that ends itself anyway is asked in turn.
            self._era = "legacy" if self._era is None and self._may_be_silent else None
        return failure

    async def _live(self) -> None:
        """One connection, until it is lost. Raises UpstreamError or InstallError, or a group of them."""
        if self.state != "failed":
            self.become("installing")
        async with self._connector.open() as connection:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_run(connection))
                    group.create_task(self._converse(connection))
            except* (UpstreamError, InstallError) as lost:
                self.become("failed", str(_first(lost)))  # now, not after the closing, which may take its time
                raise
            finally:
                self._session = None
                self._connected.clear()

    async def _converse(self, connection: Connection) -> None:
        self._connecting, self._may_be_silent = True, connection.link.silence_is_legacy
        session = Session(connection.link, era="legacy" if self._era == "legacy" else None)
        await session.connect(self.limits.upstream_timeout_seconds)
        await self._refresh(session)
        self._era, self._connecting = session.era, False
        program = connection.program
        self.version, self.source, self.digest = program.version, program.source, program.digest
        self._session = session
        self._connected.set()
        self.become("ready")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(session))
            group.create_task(self._check(session))

    async def _refresh(self, session: Session) -> None:
        try:
            tools = await session.list_tools(self.limits.upstream_timeout_seconds)
        except TimeoutError as error:
            raise UpstreamUnavailable("tools/list took too long") from error
        exported = export_tools(self.name, tools, self._options)
        offers = tuple(
            Offer(owner=self.name, kind="mcp", definition=each.definition, handler=UpstreamTool(self, each))
            for each in exported
        )
        if [each.definition for each in offers] != [each.definition for each in self.offers]:
            self.offers = offers
            self.become(self.state, self.error)

    async def _watch(self, session: Session) -> None:
        """What the server says unasked. That it says nothing, or stops, is no fault: there is the regular check."""

        async def listen(message: Json) -> None:
            if message["method"] == TOOLS_CHANGED:
                self._look.set()

        if session.watches_list or session.era == "legacy":
            while True:
                with suppress(UpstreamError, TimeoutError):
                    await session.watch(listen)
                await asyncio.sleep(CHECK_EVERY_S)

    async def _check(self, session: Session) -> None:
        """List again when told to, and regularly: it is the sign of life too."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await self._look.wait()
            self._look.clear()
            await self._refresh(session)

    def doubt(self) -> None:
        """A call failed as if the server were gone: find out now."""
        self._look.set()

    async def session(self, timeout_s: float) -> Session:
        """The live session, waited for at most `timeout_s`. Raises UpstreamUnavailable."""
        if self._session is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._connected.wait()
        if self._session is None:
            raise UpstreamUnavailable(self.error or "not connected")
        return self._session


class UpstreamTool:
    """One tool of a server, as an offer's handler."""

    def __init__(self, entry: UpstreamEntry, tool: ExportedTool) -> None:
        self._entry = entry
        self._tool = tool

    async def __call__(self, call: Call) -> Json:
        """Raises UpstreamRejected, ToolBusy. That the server is away is a result, for the model to read."""
        limits = self._entry.limits
        timeout_s = min(limits.timeout_seconds, call.timeout_s or limits.timeout_seconds)
        try:
            async with self._entry.gate.enter(timeout_s):
                return show_result(await self._send(call, timeout_s))
        except ToolBusy:
            raise
        except ToolProxyError as error:
            if isinstance(error, UpstreamUnavailable):
                self._entry.doubt()
            return show_failure(self._entry.name, error)

    async def _send(self, call: Call, timeout_s: float) -> Json:
        session = await self._entry.session(min(timeout_s, self._entry.limits.upstream_timeout_seconds))
        params: Json = {"name": self._tool.upstream_name, "arguments": dict(call.arguments), **call.retry}
        if call.meta:
            params["_meta"] = dict(call.meta)
        return await session.call_tool(
            params,
            timeout_s=timeout_s,
            capabilities=call.capabilities,
            headers=self._tool.headers.build(call.arguments) if session.era == "modern" else {},
            on_progress=call.on_progress,
        )


async def _run(connection: Connection) -> None:
    await connection.run()


def _first(group: BaseExceptionGroup[ToolProxyError]) -> ToolProxyError:
    """The cause that says most: a task that ended of itself, before those that ended because of it."""
    found = [each for each in _leaves(group) if isinstance(each, ToolProxyError)]
    return next((each for each in found if not isinstance(each, UpstreamUnavailable)), found[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]
