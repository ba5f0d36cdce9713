"""What a connected server says unasked, and what it has to be asked for to say it: updates of resources, its log."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent_toolproxy.errors import UpstreamError
from agent_toolproxy.mcp.client import LISTS, Session
from agent_toolproxy.mcp.messages import PROMPTS_CHANGED, RESOURCE_UPDATED, RESOURCES_CHANGED, TOOLS_CHANGED, Json
from agent_toolproxy.offers.definitions import LONGEST_URI_CHARS
from agent_toolproxy.tools.servers.signals import Kind, Signals

AGAIN_S: Final = 30.0
_SHORT_S: Final = 10.0
_CHANGES: Final[dict[str, Kind]] = {
    TOOLS_CHANGED: "tools",
    PROMPTS_CHANGED: "prompts",
    RESOURCES_CHANGED: "resources",
}


class ServerWatch:
    """One connection's. That the server says nothing, or stops, is no fault: it is listed regularly too."""

    def __init__(self, server: str, session: Session, signals: Signals, on_list_change: Callable[[Kind], None]) -> None:
        self._server = server
        self._session = session
        self._signals = signals
        self._on_list_change = on_list_change
        self._asked_in = -1
        self._level: str | None = None
        self._watched: frozenset[str] = frozenset()

    async def run(self) -> None:
        if self._session.era == "modern":
            await self._listen_modern()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen_legacy())
            group.create_task(self._keep_asked())

    async def _listen(self) -> None:
        with suppress(UpstreamError, TimeoutError):
            await self._session.watch(self._take, self._watched)

    async def _listen_legacy(self) -> None:
        while True:
            await self._listen()
            await asyncio.sleep(AGAIN_S)

    async def _listen_modern(self) -> None:
        """One stream says it all; it is opened anew when other resources are watched."""
        while True:
            self._watched = self._signals.wanted(self._server)
            if self._watched or any(self._session.can(kind, "listChanged") for kind in LISTS):
                listening = asyncio.create_task(self._listen())
            else:
                listening = asyncio.create_task(asyncio.sleep(0))
            try:
                await self._signals.wait_for(self._wants_others, AGAIN_S)
                while not listening.done() and not self._wants_others():
                    await self._signals.wait_for(self._wants_others, AGAIN_S)
                if listening.done():
                    listening.result()
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    def _wants_others(self) -> bool:
        return self._signals.wanted(self._server) != self._watched

    async def _take(self, message: Json) -> None:
        method, params = message["method"], message.get("params", {})
        if (kind := _CHANGES.get(method)) is not None:
            self._on_list_change(kind)
        elif method == RESOURCE_UPDATED:
            uri = params.get("uri")
            if isinstance(uri, str) and len(uri) <= LONGEST_URI_CHARS:
                self._signals.tell_updated(self._server, uri)

    async def _keep_asked(self) -> None:
        """A handshake server is asked by requests, and again in each new session."""
        while True:
            await self._ask()
            await self._signals.wait_for(self._is_to_ask, AGAIN_S)

    def _is_to_ask(self) -> bool:
        return self._wants_others() or (self._signals.log_level != self._level and self._session.can("logging"))

    async def _ask(self) -> None:
        session, signals = self._session, self._signals
        if session.generation != self._asked_in:
            self._asked_in, self._level, self._watched = session.generation, None, frozenset()
        if signals.log_level != self._level and session.can("logging"):
            self._level = signals.log_level
            await self._request("logging/setLevel", {"level": self._level})
        wanted, watched = signals.wanted(self._server), self._watched
        self._watched = wanted
        if session.can("resources", "subscribe"):
            for uri in watched - wanted:
                await self._request("resources/unsubscribe", {"uri": uri})
            for uri in wanted - watched:
                await self._request("resources/subscribe", {"uri": uri})

    async def _request(self, method: str, params: Json) -> None:
        """One that is refused stays so until the next session."""
        with suppress(UpstreamError, TimeoutError):
            await self._session.call(method, params, timeout_s=_SHORT_S)
