"""Trouble between a client and a real API server: at TCP, where TLS passes through, and at HTTP."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from agent_kube import Access

ProxyHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOP_BY_HOP = {"host", "transfer-encoding", "connection", "content-length", "accept-encoding"}


class TcpProxy:
    """Forwards bytes to one address, until told to misbehave."""

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._target = (parts.hostname, parts.port)
        self._scheme = parts.scheme
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"{self._scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which what was aborted is closed

    def freeze(self) -> None:
        """A dead network: connections stay open, nothing arrives, nobody sends a FIN."""
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def reset(self) -> None:
        """Every connection is reset."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with self._held(writer), contextlib.suppress(OSError):
            back, upstream = await asyncio.open_connection(*self._target)
            with self._held(upstream):
                await asyncio.gather(self._pump(reader, upstream), self._pump(back, writer))

    @contextlib.contextmanager
    def _held(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """One end of a connection, aborted however its use ends."""
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


class HttpProxy:
    """Plain HTTP in, the real server out; `trouble` may answer in its place."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self.trouble: Callable[[web.Request], ProxyHandler | None] = lambda _request: None
        self.calls: list[tuple[str, str]] = []

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._access.tls or True, limit=0), auto_decompress=False
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.method, request.path_qs))
        handler = self.trouble(request)
        return await (handler or self.forward)(request)

    async def forward(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers["Accept-Encoding"] = "identity"
        authorization = await self._access.credentials.header()
        if authorization:
            headers["Authorization"] = authorization
        async with self._session.request(
            request.method, self._access.server + request.path_qs, headers=headers, data=await request.read()
        ) as upstream:
            kept = {k: v for k, v in upstream.headers.items() if k.lower() not in HOP_BY_HOP}
            response = web.StreamResponse(status=upstream.status, headers=kept)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            return response
