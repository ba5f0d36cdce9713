"""The API's HTTP server: REST and /mcp on one loopback port.

Host and Origin are checked before anything else: a web page in a browser on the same machine must not reach the
tools, neither by a form nor by a name that it makes point to 127.0.0.1.
"""

import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from agent_kit.errors import ListenError
from agent_toolproxy.serving.rest import error_response

_log = logging.getLogger(__name__)
BODY_BYTES: Final = 4 << 20
_SHUTDOWN_S: Final = 20.0
Routes = Callable[[web.UrlDispatcher], None]


class HostOriginCheck:
    """Lets in requests whose Host is ours and whose Origin, if there is one, is known."""

    def __init__(self, host: str, allowed_hosts: Collection[str], allowed_origins: Collection[str]) -> None:
        self._hosts = {"localhost", "127.0.0.1", "::1", host.lower(), *(each.lower() for each in allowed_hosts)}
        self._origins = frozenset(allowed_origins)

    def refuse(self, request: web.Request) -> web.Response | None:
        """The answer to a request that is not let in."""
        origins = request.headers.getall("Origin", [])
        if any(origin not in self._origins for origin in origins):
            return error_response(403, "origin_refused", "this Origin is not allowed")
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or _name_of(hosts[0]) not in self._hosts:
            return error_response(421, "host_refused", "this Host is not served here")
        return None


def _name_of(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def build_app(origin_check: HostOriginCheck, routes: Collection[Routes]) -> web.Application:
    """The application. Errors that nobody foresaw are 500 without a detail; the detail is in the log."""

    @web.middleware
    async def guard(request: web.Request, handler: Callable[..., object]) -> web.StreamResponse:
        refusal = origin_check.refuse(request)
        if refusal is not None:
            return refusal
        try:
            return await handler(request)  # type: ignore[misc, no-any-return]
        except web.HTTPException as error:
            if request.path == "/mcp":
                raise
            return _as_error(error)
        except (ConnectionError, web.RequestPayloadError):
            raise
        except Exception:  # noqa: BLE001 - the boundary: whatever it is, the client gets an answer
            _log.exception("a request failed", extra={"path": request.path[:200]})
            return error_response(500, "internal", "the tool proxy failed: see its log")

    app = web.Application(middlewares=[guard], client_max_size=BODY_BYTES)
    for add in routes:
        add(app.router)
    return app


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
        app, handle_signals=False, access_log=None, handler_cancellation=True, shutdown_timeout=_SHUTDOWN_S
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except (OSError, OverflowError) as error:
        await runner.cleanup()
        reason = getattr(error, "strerror", None) or error
        raise ListenError(f"the API cannot listen on {host}:{port}: {reason}; set another --port") from error
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
