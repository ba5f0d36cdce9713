"""The console's HTTP server, for one user's browser.

Whoever reaches it sees prompts and logs. So it listens on loopback, and every request needs the token of this start:
the address that is printed has it, and a cookie takes it over. Foreign Hosts and Origins are refused, and the page may
load nothing but its own files.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentberth.cluster.approvals import LONGEST_NOTE, Decision
from agentberth.console.source import Source, about
from agentberth.console.view import plain
from agentberth.errors import CommandError

COOKIE: Final = "agentberth-console"
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_LOOK_EVERY_S: Final = 0.5
_ALIVE_EVERY: Final = 30
_MOST_BODY_BYTES: Final = 8192
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Decision(BaseModel):
    """What the page posts: the call that was looked at, and what is to become of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    decision: Decision
    note: Annotated[str, Field(max_length=LONGEST_NOTE)] = ""


class ConsoleServer:
    """Serves `source`. `hosts` are further values of Host, for a proxy that authenticates in front of it."""

    def __init__(self, source: Source, *, token: str | None = None, hosts: frozenset[str] = frozenset()) -> None:
        self._source = source
        self.token = secrets.token_urlsafe(32) if token is None else token
        self._hosts = hosts
        self._page = _load_page()

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=_MOST_BODY_BYTES)
        app.router.add_get("/", self._show_page)
        app.router.add_get("/page/{file}", self._show_file)
        app.router.add_get("/api/agents", self._list_agents)
        app.router.add_get("/api/agents/{namespace}/{name}", self._get_agent)
        app.router.add_get("/api/agents/{namespace}/{name}/calls", self._get_calls)
        app.router.add_get("/api/agents/{namespace}/{name}/logs", self._get_logs)
        app.router.add_get("/api/agents/{namespace}/{name}/revisions", self._get_revisions)
        app.router.add_get("/api/about", self._get_about)
        app.router.add_get("/api/approvals", self._list_approvals)
        app.router.add_post("/api/approvals/{namespace}/{name}", self._decide)
        app.router.add_get("/api/events", self._send_events)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._refuse(request)
        if refusal is not None:
            return _safe(refusal)
        try:
            return _safe(await handler(request))
        except web.HTTPException as error:
            return _safe(_problem(error.status, error.reason))
        except LookupError as error:
            return _safe(_problem(404, str(error)))
        except CommandError as error:
            return _safe(_problem(409 if request.method == "POST" else 502, str(error)))

    def _refuse(self, request: web.Request) -> web.Response | None:
        """The answer to a request that is not let in."""
        name = request.host.rpartition(":")[0] if ":" in request.host.rpartition("]")[2] else request.host
        if name not in _NAMES | self._hosts:
            return _problem(421, "this Host is not served here")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:  # TLS may end at a proxy
            return _problem(403, "this Origin is not served here")
        if request.method == "POST" and request.path.startswith("/api/approvals/"):
            if origin is None or request.content_type != "application/json":
                return _problem(403, "decisions are taken from the console's own page")
        elif request.method not in ("GET", "HEAD"):
            return _problem(405, "nothing but approvals is decided here")
        return self._admit(request) if self.token else None

    def _admit(self, request: web.Request) -> web.Response | None:
        """The answer to a request that has no cookie of this start: the page, for one that has the token."""
        cookie = f"{COOKIE}-{request.url.port}"  # cookies know no ports: consoles side by side have one each
        if request.path == "/" and _same(request.query.get("token", ""), self.token):
            moved = web.Response(status=303, headers={"Location": "/"})
            moved.set_cookie(cookie, self.token, httponly=True, samesite="Strict", path="/")
            return moved
        if _same(request.cookies.get(cookie, ""), self.token):
            return None
        return _problem(401, "open the address that the command has printed: it has the token of this start")

    async def _show_page(self, _: web.Request) -> web.Response:
        return self._file("index.html")

    async def _show_file(self, request: web.Request) -> web.Response:
        return self._file(request.match_info["file"])

    def _file(self, name: str) -> web.Response:
        if name not in self._page:
            raise LookupError(f"there is no file {name[:100]!r}")
        kind = _TYPES[name[name.rindex(".") :]]
        return web.Response(body=self._page[name], content_type=kind, charset="utf-8")

    async def _list_agents(self, _: web.Request) -> web.Response:
        rows = [plain(row) for row in await self._source.agents()]
        return _json({"agents": rows, "notes": [self._source.problem] if self._source.problem else []})

    async def _get_agent(self, request: web.Request) -> web.Response:
        return _json(plain(await self._source.agent(*_names(request))))

    async def _get_calls(self, request: web.Request) -> web.Response:
        return _json(plain(await self._source.calls(*_names(request))))

    async def _get_logs(self, request: web.Request) -> web.Response:
        container, pod = request.query.get("container", ""), request.query.get("pod", "")
        return _json(plain(await self._source.logs(*_names(request), container, pod)))

    async def _get_revisions(self, request: web.Request) -> web.Response:
        older, newer = request.query.get("older", ""), request.query.get("newer", "")
        return _json(plain(await self._source.revisions(*_names(request), older, newer)))

    async def _get_about(self, _: web.Request) -> web.Response:
        return _json(about(self._source))

    async def _list_approvals(self, _: web.Request) -> web.Response:
        return _json(plain(await self._source.approvals()))

    async def _decide(self, request: web.Request) -> web.Response:
        try:
            decision = _Decision.model_validate_json(await request.read())
        except ValidationError:
            return _problem(400, "a decision has hash, decision (Approve or Deny), and note")
        await self._source.decide(*_names(request), decision.hash, decision.decision, decision.note)
        return _json({})

    async def _send_events(self, request: web.Request) -> web.StreamResponse:
        """Says that something changed; the page then asks for what it shows."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        seen, quiet = -1, 0
        while True:
            version, quiet = self._source.version, quiet + 1
            if version != seen:
                seen, quiet = version, 0
                await response.write(f"event: changed\ndata: {version}\n\n".encode())
            elif quiet >= _ALIVE_EVERY:
                quiet = 0
                await response.write(b": still here\n\n")
            await asyncio.sleep(_LOOK_EVERY_S)


@asynccontextmanager
async def serving(server: ConsoleServer, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves until left; gives the address to open. Raises CommandError when the port cannot be had."""
    runner = web.AppRunner(
        server.app(), handle_signals=False, access_log=None, handler_cancellation=True, shutdown_timeout=0.2
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        address = f"http://{host}:{runner.addresses[0][1]}/"
        yield f"{address}?token={server.token}" if server.token else address
    except OSError as error:
        raise CommandError(f"the console cannot listen on {host}:{port}: {error.strerror}") from error
    finally:
        await runner.cleanup()


def _load_page() -> dict[str, bytes]:
    folder = files("agentberth.console").joinpath("page")
    return {file.name: file.read_bytes() for file in folder.iterdir() if "." in file.name}


def _names(request: web.Request) -> tuple[str, str]:
    return request.match_info["namespace"], request.match_info["name"]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _json(document: object) -> web.Response:
    return web.Response(text=json.dumps(document), content_type="application/json")


def _problem(status: int, message: str) -> web.Response:
    return web.Response(status=status, text=json.dumps({"error": message}), content_type="application/json")


def _safe(response: web.StreamResponse) -> web.StreamResponse:
    if not response.prepared:
        response.headers.update(_HEADERS)
    return response
