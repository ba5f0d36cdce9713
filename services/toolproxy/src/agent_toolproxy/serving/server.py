"""The API's HTTP server: REST and /mcp on one loopback port.

Host, Origin and the agent's token are checked before anything else. MCP clients take one address and often no header,
so the token may also stand in the path: every path is served below /t/TOKEN too, and MCP_SERVER_URL is one of those.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from agent_api import layout
from agent_kit.boundedsite import BoundedSite
from agent_kit.callerauth import Door
from agent_kit.errors import ListenError
from agent_toolproxy.messagememory import MessageRoom
from agent_toolproxy.serving.rest import error_response

_log = logging.getLogger(__name__)
SEND_S: Final = 10.0
"""For an answer that others may wait for."""
_PIECE_BYTES: Final = 1 << 16
BODY_BYTES: Final = 4 << 20
IDLE_S: Final = 75.0
"""Until a connection without a whole head of a request is closed."""
BODY_S: Final = 60.0
"""In which a body must be there; it comes over loopback."""
_SHUTDOWN_S: Final = 20.0
_TOKEN: Final = "door_token"  # noqa: S105 - a name
_REFUSALS: Final = {
    "origin": (403, "origin_refused", "this Origin is not allowed"),
    "host": (421, "host_refused", "this Host is not served here"),
    "token": (401, "token_refused", "use the addresses in MCP_SERVER_URL and TOOL_PROXY_URL, which hold the token"),
}
Routes = Callable[[web.UrlDispatcher], None]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Paths(web.UrlDispatcher):
    """Serves each path as it is and below the token."""

    def add_route(self, method: str, path: str, handler: Any, **more: Any) -> web.AbstractRoute:  # noqa: ANN401 - aiohttp's
        super().add_route(method, f"{layout.DOOR}/{{{_TOKEN}}}{path}", handler, **more)
        return super().add_route(method, path, handler, **more)


def build_app(door: Door, routes: Collection[Routes], room: MessageRoom) -> web.Application:
    """The application. Errors that nobody foresaw are 500 without a detail; the detail is in the log."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refuse(door, request)
        if refusal is not None:
            return refusal
        try:
            size = _body_size(request)
            with room.body(size) as fits, room.call() as scope:
                if not fits:
                    return error_response(429, "tool_busy", "callers have sent too much at a time: try again later")
                if size:
                    await _read_body(request)
                answer = await handler(request)
                return await _send_in_turn(request, answer) if scope.is_large else answer
        except web.HTTPException as error:
            if request.path.endswith("/mcp"):
                raise
            return _as_error(error)
        except (ConnectionError, web.RequestPayloadError):
            raise
        except Exception:  # noqa: BLE001 - the boundary: whatever it is, the client gets an answer
            _log.exception("a request failed", extra={"method": request.method})
            return error_response(500, "internal", "the tool proxy failed: see its log")

    app = web.Application(router=_Paths(), middlewares=[guard], client_max_size=BODY_BYTES)
    for add in routes:
        add(app.router)
    return app


def _refuse(door: Door, request: web.Request) -> web.Response | None:
    """The answer to a request that is not let in."""
    in_path = request.match_info.get(_TOKEN)
    refusal = door.check_source(request.headers) or door.check_token(request.headers.get("Authorization"), in_path)
    served = request.match_info.http_exception is None
    if refusal is None and served and request.body_exists and request.content_type != "application/json":
        return error_response(415, "unsupported_media_type", "Content-Type must be application/json")
    return None if refusal is None else error_response(*_REFUSALS[refusal])


async def _read_body(request: web.Request) -> None:
    """Have the body at hand, which aiohttp keeps. Raises HTTPRequestTimeout when it does not arrive in time."""
    try:
        async with asyncio.timeout(BODY_S):
            await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def _body_size(request: web.Request) -> int:
    """As it is declared; the most that there may be, where it is not."""
    if not request.body_exists:
        return 0
    return min(request.content_length if request.content_length is not None else BODY_BYTES, BODY_BYTES)


async def _send_in_turn(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Send all of a whole answer now: what is not read would stay in memory after the call's turn."""
    if not isinstance(answer, web.Response) or answer.prepared or not isinstance(answer.body, bytes):
        return answer
    sent = web.StreamResponse(status=answer.status, reason=answer.reason, headers=answer.headers)
    sent.content_length = len(answer.body)
    try:
        async with asyncio.timeout(SEND_S):
            await sent.prepare(request)
            for at in range(0, len(answer.body), _PIECE_BYTES):
                await sent.write(answer.body[at : at + _PIECE_BYTES])
            await sent.write_eof()
    except TimeoutError:
        _log.warning("a caller did not read its answer in time", extra={"path": request.path})
        if request.transport is not None:
            request.transport.abort()
    return sent


def _as_error(error: web.HTTPException) -> web.Response:
    answer = error_response(error.status, error.reason.lower().replace(" ", "_"), error.reason)
    if allow := error.headers.get("Allow"):
        answer.headers["Allow"] = allow
    return answer


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve `app`; gives the port. On leaving, no new connection is taken and running calls may end.

    A handler is cancelled when its client goes away. Raises ListenError.
    """
    runner = web.AppRunner(
        app,
        handle_signals=False,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_SHUTDOWN_S,
        keepalive_timeout=IDLE_S,
    )
    await runner.setup()
    try:
        await BoundedSite(runner, host, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        reason = getattr(error, "strerror", None) or error
        raise ListenError(f"the API cannot listen on {host}:{port}: {reason}; set another --port") from error
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
