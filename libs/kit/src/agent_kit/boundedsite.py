"""Listens for the callers of a sidecar, and takes no more connections at a time than it has memory for.

aiohttp has no such bound: whoever may reach a port could open connections until the process is killed, with or without
sending anything. A connection too many is answered 503 and closed, before anything is read of it.
"""

import asyncio
from typing import Final, cast

from aiohttp import web

MOST_CONNECTIONS: Final = 512
"""At a time. One holds some 20 KB while nothing is sent, and half of what a process may open where 1,024 files are."""
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 51\r\n\r\ntoo many connections at a time: close some of them\n"
)


class BoundedSite(web.TCPSite):
    """A `TCPSite` of at most `most` connections."""

    def __init__(
        self, runner: web.BaseRunner, host: str, port: int, *, backlog: int = 128, most: int = MOST_CONNECTIONS
    ) -> None:
        super().__init__(runner, host, port, backlog=backlog)
        self._most = most

    async def start(self) -> None:
        """As `TCPSite.start`. Raises OSError."""
        await web.BaseSite.start(self)
        self._server = await asyncio.get_running_loop().create_server(
            self._open, self._host, self._port, backlog=self._backlog
        )

    def _open(self) -> asyncio.Protocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._most:
            return _Refusal()
        return server()


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writer = cast("asyncio.Transport", transport)  # uvloop's is one without saying so
        writer.write(_FULL)
        writer.close()
