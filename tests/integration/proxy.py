"""A proxy before the API server that writes down what an operator asks and does wrong what it is told to.

The operator speaks plain HTTP to it; the proxy speaks TLS as the administrator, or passes a token on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from integration.cluster import Admin

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
DROPPED = frozenset({"transfer-encoding", "content-length", "connection", "host"})


@dataclass(frozen=True)
class Exchange:
    """One request as it came, and the status it was answered with."""

    method: str
    path: str
    query: str
    status: int
    body: str = ""
    """What was sent to be written."""

    @property
    def watch(self) -> bool:
        """Whether it is a stream of changes."""
        return "watch=1" in self.query

    @property
    def lease(self) -> bool:
        """Whether it is about leadership."""
        return "/leases" in self.path


Fault = Callable[[web.Request], Awaitable[web.StreamResponse | None]]
"""Answers instead of the server; None lets the request through."""


class Proxy:
    """Set `fault` to have requests go wrong. `freeze` leaves all connections open and dead."""

    def __init__(self, admin: Admin, session: aiohttp.ClientSession) -> None:
        self._admin = admin
        self._session = session
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.url = ""
        self.exchanges: list[Exchange] = []
        self.fault: Fault | None = None
        self._open: list[web.Request] = []

    @property
    def writes(self) -> list[Exchange]:
        """What was asked to be changed, leases apart."""
        return [each for each in self.exchanges if each.method in WRITES and not each.lease]

    def statuses(self) -> set[int]:
        """All statuses so far."""
        return {each.status for each in self.exchanges}

    def freeze(self) -> None:
        """From now on nothing passes, and nobody is told: a dead peer without FIN."""
        self._flowing.clear()

    def thaw(self) -> None:
        """New requests pass again."""
        self._flowing.set()

    def cut(self) -> None:
        """Resets every connection that has a request on it."""
        for request in self._open:
            if request.transport is not None:
                request.transport.abort()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self._open.append(request)
        try:
            await self._flowing.wait()
            answer = await self.fault(request) if self.fault else None
            if answer is not None:
                self._note(request, answer.status)
                return answer
            return await self._forward(request)
        finally:
            self._open.remove(request)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        own = "Authorization" in request.headers
        headers = {name: value for name, value in request.headers.items() if name.lower() not in DROPPED}
        sent = await request.read()
        async with self._session.request(
            request.method,
            self._admin.server + request.path_qs,
            data=sent or None,
            headers=headers if own else {**headers, **self._admin.headers},
            ssl=self._admin.trust if own else self._admin.identity,
        ) as upstream:
            self._note(request, upstream.status, sent.decode())
            kept = {name: value for name, value in upstream.headers.items() if name.lower() not in DROPPED}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                frozen = not self._flowing.is_set()
                if frozen:  # what comes from now on is lost, and the stream never goes on
                    await asyncio.Event().wait()
                await response.write(chunk)
        return response

    def _note(self, request: web.Request, status: int, body: str = "") -> None:
        self.exchanges.append(Exchange(request.method, request.path, request.query_string, status, body))


@asynccontextmanager
async def open_proxy(admin: Admin) -> AsyncIterator[Proxy]:
    """A proxy on a free port of the loopback."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as session:
        proxy = Proxy(admin, session)

        async def handle(request: web.Request) -> web.StreamResponse:
            with suppress(ConnectionResetError):
                try:
                    return await proxy.handle(request)
                except aiohttp.ClientError:  # the server is away: so is the proxy
                    if request.transport is not None:
                        request.transport.abort()
            return web.Response(status=502)

        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            proxy.thaw()
            await runner.cleanup()
