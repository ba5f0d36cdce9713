"""A port takes only so many connections, says so to the next one, and takes others when some have ended."""

import asyncio

import pytest
from aiohttp import web

from agent_kit.boundedsite import MOST_CONNECTIONS, BoundedSite

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(_: web.BaseRequest) -> web.Response:
    return web.Response(text="here")


@pytest.mark.parametrize("most", [3, MOST_CONNECTIONS])
async def test_one_connection_too_many_is_refused_until_another_one_ends(most: int) -> None:
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = BoundedSite(runner, "127.0.0.1", 0, backlog=1024, most=most)
    await site.start()
    port = runner.addresses[0][1]

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(HEAD)
        return await reader.readuntil(b"\r\n")

    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(most)]  # nothing is sent on these
    assert b"200" in await ask(*held[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    refused = await reader.read()
    assert refused.startswith(b"HTTP/1.1 503 ")
    head, _, body = refused.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    writer.close()
    for _, opened in held:
        opened.close()
    async with asyncio.timeout(20):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            line = await ask(reader, writer)
            writer.close()
            if b"200" in line:
                break
            await asyncio.sleep(0.01)
    await runner.cleanup()
