"""A client that does not read: its answer is given up in time, whatever of it is left to write."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from agent_llmgateway.http import delivery
from agent_llmgateway.http.delivery import Delivery
from agent_llmgateway.http.server import _send_large
from agent_llmgateway.wire.dialects import DIALECTS, Problem

Writing = Callable[[Delivery, web.BaseRequest], Awaitable[None]]


async def send_whole(_: Delivery, request: web.BaseRequest) -> None:
    await _send_large(request, web.Response(body=bytes(16 << 20)))


async def fill(sender: Delivery, request: web.BaseRequest) -> web.StreamResponse:
    """A stream whose client has left so much unread that its transport is paused."""
    response = web.StreamResponse()
    await response.prepare(request)
    while not request.protocol._paused:
        await sender._write(response, bytes(10_000))
        await asyncio.sleep(0)
    return response


async def end_stream(sender: Delivery, request: web.BaseRequest) -> None:
    response = await fill(sender, request)
    await delivery.within_unread(request.transport, response.write_eof())


async def go_on(sender: Delivery, request: web.BaseRequest) -> None:
    response = await fill(sender, request)
    while True:
        await sender._write(response, bytes(1000))


async def break_off(sender: Delivery, request: web.BaseRequest) -> None:
    response = await fill(sender, request)
    await sender._break_off(response, Problem(500, "x" * 100_000, "api_error", "code"))
    raise ConnectionResetError


@pytest.mark.parametrize("write", [send_whole, end_stream, go_on, break_off])
async def test_what_is_left_unread_is_given_up_in_time(write: Writing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "UNREAD_S", 0.2)
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        account: Any = SimpleNamespace(note_piece=lambda _: None)
        call: Any = SimpleNamespace(dialect=DIALECTS["chat"])
        state: Any = None
        try:
            await write(Delivery(state, call, request, account), request)
            ended.set_result("written")
        except ConnectionResetError:
            ended.set_result("given up")
        return web.Response()

    server = await asyncio.get_running_loop().create_server(web.Server(handle), "127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(server.sockets[0].getsockname())
        client.send(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
        async with asyncio.timeout(20):
            assert await ended == "given up"
    server.close()
