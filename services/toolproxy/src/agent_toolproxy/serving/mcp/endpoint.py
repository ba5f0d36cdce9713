"""The endpoint: what comes over HTTP, judged and given to the era it belongs to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from agent_toolproxy.boundedjson import load_json
from agent_toolproxy.mcp.era import Accepted, Legacy, Modern, Refused, classify
from agent_toolproxy.mcp.messages import (
    HEADER_METHOD,
    HEADER_MISMATCH,
    HEADER_NAME,
    HEADER_SESSION,
    HEADER_VERSION,
    INVALID_REQUEST,
    MODERN,
    PARSE_ERROR,
    Json,
    RequestId,
    error,
)
from agent_toolproxy.serving.mcp.answer import KEEP_ALIVE_S, Accepts, Answer, Reply, json_response
from agent_toolproxy.serving.mcp.calls import RpcError, Tools, internal_error
from agent_toolproxy.serving.mcp.legacy import LegacyServer
from agent_toolproxy.serving.mcp.listening import Listeners
from agent_toolproxy.serving.mcp.methods import Methods, Offers
from agent_toolproxy.serving.mcp.modern import LISTEN, ModernServer, check_request
from agent_toolproxy.serving.mcp.sessions import Sessions
from agent_toolproxy.serving.mcp.tracecontext import adopt_trace
from agent_toolproxy.tools.servers.signals import Signals

PATH: Final = "/mcp"
_SINGLE: Final = (HEADER_VERSION, HEADER_METHOD, HEADER_NAME)
_NO_SESSION: Final = "there is no such session: send initialize"
_log = logging.getLogger(__name__)


class McpServer:
    """Handlers of /mcp.

    `tasks` owns calls that outlive their connection: a handshake client that drops it has not cancelled anything.
    """

    def __init__(
        self,
        tools: Tools,
        offers: Offers,
        signals: Signals,
        tasks: asyncio.TaskGroup,
        redact: Callable[[str], str],
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._tasks = tasks
        self._redact = redact
        self._keep_alive_s = keep_alive_s
        methods = Methods(tools, offers)
        self._modern = ModernServer(methods, signals)
        self._sessions = Sessions(signals)
        self._legacy = LegacyServer(methods, offers, self._sessions, signals)
        self._listeners = Listeners(signals, offers, keep_alive_s)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve /mcp on `router`."""
        router.add_route("*", PATH, self._handle)

    def close(self) -> None:
        """End the streams of what clients are told unasked."""
        self._listeners.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        session_id = request.headers.get(HEADER_SESSION)
        if request.method in ("GET", "DELETE") and session_id and request.headers.get(HEADER_VERSION) != MODERN:
            return await self._serve_session(request, session_id)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        accepts = Accepts.read(request)
        if (refusal := _refuse_form(request, accepts)) is not None:
            return refusal
        try:
            body = load_json(await request.read())
        except ValueError as problem:
            return _refuse(400, PARSE_ERROR, f"the body is not JSON: {problem}"[:300])
        return await self._route(request, body, accepts)

    async def _route(self, request: web.Request, body: object, accepts: Accepts) -> web.StreamResponse:
        verdict = classify(body, request.headers.get(HEADER_VERSION))
        answer = Answer(request, accepts, keep_alive_s=self._keep_alive_s)
        if isinstance(verdict, Refused):
            return _refuse(verdict.status, verdict.code, verdict.text, verdict.message_id, verdict.data)
        if isinstance(verdict, Accepted):
            session = self._sessions.find(request.headers.get(HEADER_SESSION))
            self._legacy.take_notices((verdict.message,), session)
            return json_response(Reply(None))
        if isinstance(verdict, Legacy):
            adopt_trace(verdict.messages, request.headers)
            return await self._serve_legacy(verdict, answer, request.headers.get(HEADER_SESSION))
        adopt_trace([verdict.message], request.headers)
        return await self._serve_modern(request, verdict, answer, accepts)

    async def _serve_session(self, request: web.Request, session_id: str) -> web.StreamResponse:
        session = self._sessions.find(session_id)
        if session is None:
            return _refuse(404, INVALID_REQUEST, _NO_SESSION)
        if request.method == "DELETE":
            self._sessions.end(session_id)
            return web.Response(status=204)
        accepts = Accepts.read(request)
        if not accepts.events:
            return _refuse(406, INVALID_REQUEST, "Accept must allow text/event-stream")
        return await self._listeners.serve_session(session, Answer(request, accepts))

    async def _serve_legacy(self, verdict: Legacy, answer: Answer, session_id: str | None) -> web.StreamResponse:
        if self._sessions.has_ended(session_id):
            return _refuse(404, INVALID_REQUEST, _NO_SESSION)
        session = self._sessions.find(session_id)
        work = self._legacy.answer(verdict.messages, verdict.version, answer, session, batch=verdict.batch)
        first = next((each["id"] for each in verdict.messages if "id" in each), None)
        return await answer.wait_for(self._tasks.create_task(self._guarded(work, first), name="legacy call"))

    async def _serve_modern(
        self, request: web.Request, verdict: Modern, answer: Answer, accepts: Accepts
    ) -> web.StreamResponse:
        """A client that goes away has cancelled: the handler is cancelled, and the work with it."""
        message = verdict.message
        try:
            check_request(message, request.headers)
            if message["method"] == LISTEN:
                if not accepts.events:
                    return _refuse(406, INVALID_REQUEST, f"{LISTEN} needs text/event-stream", message["id"])
                return await self._listeners.serve_modern(message, answer)
        except RpcError as failure:
            return json_response(self._failed(failure, message["id"]))
        async with asyncio.TaskGroup() as group:
            work = group.create_task(self._guarded(self._modern.answer(message, answer), message["id"]))
            return await answer.wait_for(work)

    async def _guarded(self, work: Awaitable[Reply], message_id: RequestId | None) -> Reply:
        try:
            return await work
        except RpcError as failure:
            return self._failed(failure, message_id)
        except Exception:  # noqa: BLE001 - the boundary: whatever it is, the client gets an answer
            _log.exception("a call failed")
            return self._failed(internal_error(), message_id)

    def _failed(self, failure: RpcError, message_id: RequestId | None) -> Reply:
        return Reply(error(message_id, failure.code, self._redact(failure.text), failure.data), failure.status)


def _refuse_form(request: web.Request, accepts: Accepts) -> web.Response | None:
    """The answer to a request that is not one of MCP, whatever it says."""
    if request.content_type != "application/json":
        return _refuse(415, INVALID_REQUEST, "Content-Type must be application/json")
    if not (accepts.json or accepts.events):
        return _refuse(406, INVALID_REQUEST, "Accept must allow application/json and text/event-stream")
    if repeated := next((name for name in _SINGLE if len(request.headers.getall(name, [])) > 1), None):
        return _refuse(400, HEADER_MISMATCH, f"the header {repeated} is there more than once")
    return None


def _refuse(
    status: int, code: int, text: str, message_id: RequestId | None = None, data: Json | None = None
) -> web.Response:
    return json_response(Reply(error(message_id, code, text, data), status))
