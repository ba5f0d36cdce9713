"""What a fake API server can do wrong, as handlers for `FakeApi.fault`."""

import asyncio

from aiohttp import web
from libs.kube.tests.fake_answers import open_stream, send, status_response
from libs.kube.tests.fake_api import Called, Handler
from libs.kube.tests.fake_storage import StatusError


def refuse(code: int, reason: str = "", message: str = "injected", *, retry_after_s: int = 0) -> Handler:
    async def handler(_request: web.Request, _called: Called) -> web.StreamResponse:
        return status_response(StatusError(code, reason, message, retry_after_s=retry_after_s))

    return handler


async def html_502(_request: web.Request, _called: Called) -> web.StreamResponse:
    page = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>nginx</body>\n</html>\n"
    return web.Response(status=502, text=page, content_type="text/html")


async def html_200(_request: web.Request, _called: Called) -> web.StreamResponse:
    return web.Response(text="<html>\nplease log in\n</html>\n", content_type="text/html")


async def end_at_once(request: web.Request, _called: Called) -> web.StreamResponse:
    return await open_stream(request)


async def reset(request: web.Request, _called: Called) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(_request: web.Request, _called: Called) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def silence(request: web.Request, _called: Called) -> web.StreamResponse:
    response = await open_stream(request)
    await asyncio.sleep(3600)
    return response


async def gone_event(request: web.Request, _called: Called) -> web.StreamResponse:
    response = await open_stream(request)
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    await send(response, "ERROR", gone)
    return response


async def reset_after_start(request: web.Request, _called: Called) -> web.StreamResponse:
    response = await open_stream(request)
    await asyncio.sleep(0.05)
    assert request.transport is not None
    request.transport.abort()
    return response


def huge_line(size_bytes: int) -> Handler:
    async def handler(request: web.Request, _called: Called) -> web.StreamResponse:
        response = await open_stream(request)
        await send(response, "MODIFIED", {"metadata": {"name": "huge"}, "filler": "x" * size_bytes})
        return response

    return handler


async def garbage(request: web.Request, _called: Called) -> web.StreamResponse:
    response = await open_stream(request)
    await response.write(b"this is not JSON\n")
    return response
