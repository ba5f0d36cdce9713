"""The endpoint: what comes over HTTP, judged and given to the era it belongs to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from agent_toolproxy.boundedjson import load_json
from agent_toolproxy.mcp.era import Accepted, Legacy, Modern, Refused, classify
from agent_toolproxy.mcp.messages import (
    HEADER_METHOD,
    HEADER_MISMATCH,
    HEADER_NAME,
    HEADER_VERSION,
    INVALID_REQUEST,
    PARSE_ERROR,
    Json,
    RequestId,
    error,
)
from agent_toolproxy.serving.mcp.answer import KEEP_ALIVE_S, Accepts, Answer, Reply, json_response
from agent_toolproxy.serving.mcp.calls import RpcError, Tools, internal_error
from agent_toolproxy.serving.mcp.legacy import LegacyServer
from agent_toolproxy.serving.mcp.modern import LISTEN, ModernServer, Subscription, WatchedTools, check_request
from agent_toolproxy.serving.mcp.tracecontext import adopt_trace

PATH: Final = "/mcp"
_SINGLE: Final = (HEADER_VERSION, HEADER_METHOD, HEADER_NAME)
_log = logging.getLogger(__name__)


class EndpointTools(Tools, WatchedTools, Protocol):
    """What the endpoint serves."""


class McpServer:
    """Handlers of /mcp.

    `tasks` owns calls that outlive their connection: a handshake client that drops it has not cancelled anything.
    """

    def __init__(
        self,
        tools: EndpointTools,
        tasks: asyncio.TaskGroup,
        redact: Callable[[str], str],
        *,
        keep_alive_s: float = KEEP_ALIVE_S,
    ) -> None:
        self._tools = tools
        self._tasks = tasks
        self._redact = redact
        self._keep_alive_s = keep_alive_s
        self._modern = ModernServer(tools)
        self._legacy = LegacyServer(tools)
        self._closing = asyncio.Event()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve /mcp on `router`."""
        router.add_route("*", PATH, self._handle)

    def close(self) -> None:
        """End the listen streams, with their results."""
        self._closing.set()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        if request.content_type != "application/json":
            return _refuse(415, INVALID_REQUEST, "Content-Type must be application/json")
        accepts = Accepts.read(request)
        if not (accepts.json or accepts.events):
            return _refuse(406, INVALID_REQUEST, "Accept must allow application/json and text/event-stream")
        if repeated := next((name for name in _SINGLE if len(request.headers.getall(name, [])) > 1), None):
            return _refuse(400, HEADER_MISMATCH, f"the header {repeated} is there more than once")
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
            return json_response(Reply(None))
        if isinstance(verdict, Legacy):
            adopt_trace(verdict.messages, request.headers)
            return await self._serve_legacy(verdict, answer)
        adopt_trace([verdict.message], request.headers)
        return await self._serve_modern(request, verdict, answer, accepts)

    async def _serve_legacy(self, verdict: Legacy, answer: Answer) -> web.StreamResponse:
        work = self._legacy.answer(verdict.messages, verdict.version, answer, batch=verdict.batch)
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
                return await Subscription(message, answer, self._tools).serve(self._closing, self._keep_alive_s)
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


def _refuse(
    status: int, code: int, text: str, message_id: RequestId | None = None, data: Json | None = None
) -> web.Response:
    return json_response(Reply(error(message_id, code, text, data), status))
