"""A door in front of the proxy under which one server's tools and prompts have plain names.

The conformance suite calls tools by names that it has fixed; behind the proxy they are full__NAME. Nothing but these
names is touched: statuses, headers, event streams and their order are the proxy's.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

PREFIX = "full__"
_NAMED = ("tools/call", "prompts/get")
_OF_THE_CONNECTION = {
    "connection",
    "content-length",
    "transfer-encoding",
    "content-encoding",
    "keep-alive",
    "date",
    "server",
}


@asynccontextmanager
async def plain_names(target: str) -> AsyncIterator[str]:
    """The door's URL, before `target`, the proxy's."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False) as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            headers = [(key, value) for key, value in request.headers.items() if key.lower() not in _OF_THE_CONNECTION]
            async with session.request(
                request.method, target, data=_prefixed(body), headers=_with_name(headers, body), skip_auto_headers=_AUTO
            ) as answer:
                return await _pass_on(request, answer)

        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/mcp", handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/mcp"
        finally:
            await runner.cleanup()


_AUTO = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def _with_name(headers: list[tuple[str, str]], body: bytes) -> list[tuple[str, str]]:
    """`Mcp-Name` as it is for the prefixed name, where it was right before."""
    message = _parsed(body)
    name = message.get("params", {}).get("name") if message.get("method") in _NAMED else None
    return [
        (key, PREFIX + value.strip() if key.lower() == "mcp-name" and value.strip() == name else value)
        for key, value in headers
    ]


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError:
        return {}
    usable = isinstance(message, dict) and isinstance(message.get("params", {}), dict)
    return message if usable else {}


def _prefixed(body: bytes) -> bytes:
    message = _parsed(body)
    params = message.get("params", {})
    if message.get("method") in _NAMED and isinstance(params.get("name"), str):
        params["name"] = PREFIX + params["name"]
    elif message.get("method") == "completion/complete" and "name" in params.get("ref", {}):
        params["ref"]["name"] = PREFIX + params["ref"]["name"]
    else:
        return body
    return json.dumps(message).encode()


async def _pass_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = [(key, value) for key, value in answer.headers.items() if key.lower() not in _OF_THE_CONNECTION]
    if answer.content_type != "text/event-stream":
        body = (await answer.read()).replace(f'"name":"{PREFIX}'.encode(), b'"name":"')
        made = web.Response(status=answer.status, body=body)
        made.headers.update(dict(headers))
        return made
    stream = web.StreamResponse(status=answer.status, headers=dict(headers))
    await stream.prepare(request)
    async for chunk in answer.content.iter_any():
        await stream.write(chunk.replace(f'"name":"{PREFIX}'.encode(), b'"name":"'))
    await stream.write_eof()
    return stream
