"""An MCP server behind the proxy, as a tool of the configuration: connected, watched, connected again.

Its tools stay listed while it is away: a list that comes and goes would cost every client its cache. A call meanwhile
waits a little for the connection, and then says what is wrong.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Final

from agent_api.toolsconfig import PlannedTool, ToolLimits, ToolOptions
from agent_base.backoff import Backoff, BackoffTimer
from agent_toolproxy.call import Json, ServedTool
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import (
    InstallError,
    ToolProxyError,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamRestart,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from agent_toolproxy.mcp.client import PROBE_S, Era, Session
from agent_toolproxy.mcp.export import export_tools
from agent_toolproxy.mcp.messages import METHOD_NOT_FOUND
from agent_toolproxy.offers.offer import Offer, OfferReader
from agent_toolproxy.tools.concurrency import Gate
from agent_toolproxy.tools.configuredtool import INSTALLING, WAITING, ConfiguredTool
from agent_toolproxy.tools.connectors import Connection, Connector
from agent_toolproxy.tools.lanes import Lanes, Place
from agent_toolproxy.tools.servers.serverwatch import ServerWatch
from agent_toolproxy.tools.servers.signals import Kind, Signals
from agent_toolproxy.tools.servers.upstreamcall import UpstreamTool

_log = logging.getLogger(__name__)
RETRY: Final = Backoff(first_s=0.5, longest_s=30.0)
HEALTHY_S: Final = 60.0
"""Connected for so long, the next retry is as quick as the first."""
CHECK_EVERY_S: Final = 30.0
_OFFER_S: Final = 5.0
"""In which what a server has beside tools must be listed; it keeps nobody waiting for longer."""
_SHORTEST_PAUSE_S: Final = 1.0
"""Between two listings that a server asks for."""
CONCURRENCY: Final = 64
"""Calls of one server at a time; more wait."""


class ConfiguredServer(ConfiguredTool):
    """One MCP server, and the tools it has."""

    def __init__(  # noqa: PLR0913 - what a server is connected to
        self,
        planned: PlannedTool,
        options: ToolOptions,
        connector: Connector,
        *,
        lanes: Lanes,
        current: CurrentConfig,
        signals: Signals,
        on_change: Callable[[], None],
        retry: Backoff = RETRY,
    ) -> None:
        super().__init__(planned, "mcp", on_change)
        self._retry = retry
        self.offer = Offer()
        self._offers = OfferReader(planned.name)
        self._signals = signals
        self._changed: set[Kind] = set()
        self._lanes = lanes
        self.description = options.description
        self._options = options
        self._connector = connector
        self._current = current
        self._era: Era | None = None
        self._connecting = False
        self._may_be_silent = False
        self._session: Session | None = None
        self._connected = asyncio.Event()
        self._check_requested = asyncio.Event()
        self.gate = Gate(CONCURRENCY)

    @property
    def limits(self) -> ToolLimits:
        """As they are now."""
        return self._current.limits

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost."""
        pauses = BackoffTimer(self._retry, calm_s=HEALTHY_S)
        while True:
            failure = await self._live_until_failure()
            if isinstance(failure, UpstreamRestart):
                continue
            self.set_state("failed", str(failure))
            if isinstance(failure, InstallError) and not failure.retryable:
                return
            await asyncio.sleep(pauses.next_s())

    async def _live_until_failure(self) -> ToolProxyError:
        try:
            await self._live()
        except* (UpstreamError, InstallError) as group:
            failure = _first(group)
        except* Exception as group:  # noqa: BLE001 - the boundary: whatever a server sends ends in its failure
            _log.exception("a server could not be handled", extra={"tool": self.name})
            failure = UpstreamProtocol(f"what it sends cannot be handled ({type(_leaves(group)[0]).__name__})")
        else:
            failure = UpstreamUnavailable("the connection ended")
        if self._connecting and isinstance(failure, UpstreamError):
            # A server that ends itself over the probe is an old one; one that ends itself anyway is asked in turn.
            self._era = "legacy" if self._era is None and self._may_be_silent else None
        return failure

    async def _live(self) -> None:
        """One connection, until it is lost. Raises UpstreamError or InstallError, or a group of them.

        A place among the tools that are being prepared is kept until it is ready.
        """
        if self.state not in ("failed", "ready"):  # what is started again between calls stays ready
            self.set_state("installing")
        self.show_progress(WAITING)
        async with self._lanes.enter(required=self.planned.required) as place:
            self.show_progress(INSTALLING)
            async with self._connector.open() as connection:
                await self._use(connection, place)

    async def _use(self, connection: Connection, place: Place) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_run(connection))
                group.create_task(self._converse(connection, place))
        except* UpstreamRestart:
            raise
        except* (UpstreamError, InstallError) as lost:
            self.set_state("failed", str(_first(lost)))  # now, not after the closing, which may take its time
            raise
        finally:
            self._session = None
            self._connected.clear()

    async def _converse(self, connection: Connection, place: Place) -> None:
        self._connecting, self._may_be_silent = True, connection.link.silence_is_legacy
        session = Session(
            connection.link,
            era="legacy" if self._era == "legacy" else None,
            probe_s=min(PROBE_S, self.limits.upstream_timeout_seconds),
        )
        await self._start(session, self._start_limit_s(connection))
        self._era, self._connecting = session.era, False
        program = connection.program
        self.version, self.source, self.digest = program.version, program.source, program.digest
        self._session = session
        self._connected.set()
        self.set_state("ready")
        place.release()
        async with asyncio.TaskGroup() as group:
            group.create_task(ServerWatch(self.name, session, self._signals, self._note_change).run())
            group.create_task(self._check(session))

    def _start_limit_s(self, connection: Connection) -> float:
        """A child has to be started first; a server at a URL runs already."""
        usual_s = self.limits.start_timeout_seconds
        if not connection.link.silence_is_legacy:
            usual_s = self.limits.upstream_timeout_seconds
        return self._options.start_timeout_seconds or usual_s

    async def _start(self, session: Session, limit_s: float) -> None:
        self.show_progress(f"starting: it has {limit_s:g} s to answer and to list its tools")
        try:
            async with asyncio.timeout(limit_s):
                await session.connect(limit_s)
                await self._refresh(session, limit_s)
        except (TimeoutError, UpstreamTimeout) as error:
            text = f"it did not answer within {limit_s:g} s; if it needs longer, set config.startTimeoutSeconds"
            raise UpstreamTimeout(text) from error

    async def _refresh(self, session: Session, timeout_s: float) -> None:
        tools, offer = await asyncio.gather(
            self._list_tools(session, timeout_s), self._offers.read(session, min(timeout_s, _OFFER_S))
        )
        exported = await asyncio.to_thread(export_tools, self.name, tools, self._options)
        served_tools = tuple(
            ServedTool(
                owner=self.name,
                kind="mcp",
                definition=each.definition,
                handler=UpstreamTool(self, each),
                own_definition=each.own_definition,
            )
            for each in exported.tools
        )
        self._note_set_aside(exported.set_aside)
        if _definitions(served_tools) != _definitions(self.served_tools):
            self.served_tools = served_tools
            self.set_state(self.state, self.error)
        self._take_offer(offer)

    @staticmethod
    async def _list_tools(session: Session, timeout_s: float) -> list[object]:
        try:
            return await session.list_all("tools/list", "tools", timeout_s)
        except TimeoutError as error:
            raise UpstreamTimeout(f"tools/list took longer than {timeout_s:g} s") from error
        except UpstreamRefused as refusal:
            if refusal.code == METHOD_NOT_FOUND and not session.can("tools"):
                return []
            raise

    def _take_offer(self, offer: Offer) -> None:
        """Keep it, and say what changed: what is another one, and what the server itself says."""
        before, self.offer = self.offer, offer
        if before.prompts != offer.prompts:
            self._changed.add("prompts")
        if (before.resources, before.templates) != (offer.resources, offer.templates):
            self._changed.add("resources")
        for kind in sorted(self._changed):
            self._signals.announcements.announce(kind)
        self._changed.clear()

    def _note_change(self, kind: Kind) -> None:
        self._changed.add(kind)
        self._check_requested.set()

    def _note_set_aside(self, set_aside: Mapping[str, str]) -> None:
        for name, reason in set_aside.items():
            if self.set_aside.get(name) != reason:
                _log.warning("a server's tool is set aside", extra={"tool": name, "reason": reason})
        if set_aside != self.set_aside:
            self.set_aside = set_aside
            self.set_state(self.state, self.error)

    async def _check(self, session: Session) -> None:
        """List again when told to, and regularly: it is the sign of life too."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_EVERY_S):
                    await self._check_requested.wait()
            self._check_requested.clear()
            try:
                await self._refresh(session, self.limits.upstream_timeout_seconds)
            except UpstreamTimeout:
                if not self.is_in_use:
                    raise
                _log.info("a server is too busy to list its tools", extra={"tool": self.name})
            await asyncio.sleep(_SHORTEST_PAUSE_S)

    def request_check(self) -> None:
        """A call failed as if the server were gone: find out now."""
        self._check_requested.set()

    async def session(self, timeout_s: float) -> Session:
        """The live session, waited for at most `timeout_s`. Raises UpstreamUnavailable."""
        if self._session is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._connected.wait()
        if self._session is None:
            raise UpstreamUnavailable(self.error or "not connected")
        return self._session


def _definitions(tools: Iterable[ServedTool]) -> list[tuple[Json, Json]]:
    return [(each.definition, each.pinned_definition) for each in tools]


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
