"""What the mock does to a connection: resets, cuts and silences are what they say."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

FOREVER_S: Final = 86_400.0


def close_connection(request: web.BaseRequest) -> None:
    """After what was written has gone out."""
    if request.transport is not None:
        request.transport.close()


async def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Send a TCP reset."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    raise ConnectionResetError


async def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Close in the middle, after what was sent has gone out."""
    close_connection(request)
    raise ConnectionResetError


async def _be_silent(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(FOREVER_S)
    raise ConnectionResetError


FAULTS: Final[dict[str, Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]]] = {
    "reset-before-headers": _reset,
    "cut": _cut,
    "silence": _be_silent,
}
