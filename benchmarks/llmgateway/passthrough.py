"""The least that aiohttp can do: forward a request and its answer, and know nothing. The yardstick of the gateway."""

import argparse

import aiohttp
import uvloop
from aiohttp import web

READ_BUFFER_BYTES = 1 << 18


async def make_app(upstream: str) -> web.Application:
    """An application with one session and one handler."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    )

    async def forward(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with session.post(upstream, data=body, headers={"Content-Type": "application/json"}) as answer:
            content_type = answer.headers["Content-Type"]
            if "event-stream" not in content_type:
                return web.Response(
                    body=await answer.read(), status=answer.status, headers={"Content-Type": content_type}
                )
            response = web.StreamResponse(headers={"Content-Type": content_type})
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def close(_: web.Application) -> None:
        await session.close()

    app = web.Application(client_max_size=1 << 26)
    app.router.add_post("/v1/chat/completions", forward)
    app.on_cleanup.append(close)
    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvloop.install()
    web.run_app(make_app(options.upstream), host="127.0.0.1", port=options.port, access_log=None, print=None)
