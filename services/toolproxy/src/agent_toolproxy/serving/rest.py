"""The REST API: the same tools as on /mcp, for programs that do not speak MCP.

Every error is `{"error": {"code", "message"}}`, with the message redacted. The models below are the published
document's (docs/reference/toolproxy.openapi.json).
"""

import asyncio
import codecs
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.call import Call, Json
from agent_toolproxy.errors import CallError, InvalidArguments, MemoryUnavailable, UnknownTool
from agent_toolproxy.memory.link import MemoryLink
from agent_toolproxy.memory.notes import Notes
from agent_toolproxy.process.runner import Stream
from agent_toolproxy.serving.models import MemoryItem, MemoryKeys, MemoryValue, RunRequest, ToolList, ToolView
from agent_toolproxy.tools.registry import Registry
from agent_toolproxy.tools.toolbox import Toolbox

Model = TypeVar("Model", bound=BaseModel)
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
_RUN: Final = ":run"
_STATE_OF_OFFER: Final = "ready"


class RestApi:
    """Handlers of /v1."""

    def __init__(self, registry: Registry, toolbox: Toolbox, memory: MemoryLink, redact: Callable[[str], str]) -> None:
        self._registry = registry
        self._toolbox = toolbox
        self._memory_link = memory
        self._redact = redact

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve the API on `router`."""
        for method, path, handle in (
            ("GET", "/v1/tools", self._list_tools),
            ("GET", "/v1/tools/{name}", self._get_tool),
            ("POST", "/v1/tools/{name}", self._run_tool),
            ("GET", "/v1/memory", self._list_memory),
            ("GET", "/v1/memory/{key:.+}", self._get_memory),
            ("PUT", "/v1/memory/{key:.+}", self._put_memory),
            ("DELETE", "/v1/memory/{key:.+}", self._delete_memory),
        ):
            router.add_route(method, path, self._guarded(handle))

    def _guarded(self, handle: Handle) -> Handle:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handle(request)
            except CallError as error:
                return error_response(error.status, error.code, self._redact(str(error)))

        return answer

    async def _list_tools(self, _: web.Request) -> web.Response:
        views = self._views()
        return _json(ToolList(tools=[views[name] for name in sorted(views)]))

    async def _get_tool(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        view = self._views().get(name)
        if view is None:
            raise UnknownTool(f"there is no tool {name[:100]!r}")
        return _json(view)

    def _views(self) -> dict[str, ToolView]:
        views: dict[str, ToolView] = {}
        for tool in self._registry.tools():
            report = tool.report()
            views[tool.name] = ToolView(
                name=tool.name,
                kind=tool.kind,
                state=tool.state,
                required=tool.planned.required,
                version=tool.version,
                source=tool.source,
                description=tool.description,
                callable=False,
                error=self._redact(report.error),
            )
        for name, served in self._toolbox.served.items():
            owner = views.get(served.owner)
            views[name] = ToolView(
                name=name,
                kind=served.kind,
                state=_STATE_OF_OFFER,
                required=bool(owner and owner.required),
                server=served.owner if served.owner != name else None,
                version=owner.version if owner else "",
                source=owner.source if owner else "",
                description=served.definition.get("description", ""),
                callable=True,
                input_schema=served.definition["inputSchema"],
                output_schema=served.definition.get("outputSchema"),
            )
        for name, drift in self._toolbox.drifts.items():
            views[name] = ToolView(
                name=name, kind="mcp", state="blocked", required=False, callable=False, error=drift.describe()
            )
        return views

    async def _run_tool(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if not name.endswith(_RUN):
            raise UnknownTool(f"POST is for /v1/tools/{{name}}{_RUN}")
        body = await _read(request, RunRequest)
        meta = {key: request.headers[key] for key in ("traceparent", "tracestate") if key in request.headers}
        call = Call(arguments=body.arguments, via="rest", meta=meta, timeout_s=body.timeout_seconds)
        name = name.removesuffix(_RUN)
        if "text/event-stream" in request.headers.get("Accept", ""):
            return await self._stream(request, name, call)
        return web.json_response(await self._toolbox.call(name, call), dumps=dump_json)

    async def _stream(self, request: web.Request, name: str, call: Call) -> web.StreamResponse:
        """Events `output` while the program runs, then one `result` or `error`."""
        stream = _EventStream(request)
        try:
            result = await self._toolbox.call(name, replace(call, on_output=stream.send_output))
        except CallError as error:
            if not stream.begun:
                raise
            await stream.send("error", {"code": error.code, "message": self._redact(str(error))})
        else:
            await stream.send("result", result)
        return await stream.end()

    def _memory(self) -> Notes:
        notes = self._memory_link.notes
        if notes is None:
            raise MemoryUnavailable("the agent has no memory: set spec.memory")
        return notes

    async def _list_memory(self, request: web.Request) -> web.Response:
        limit = request.query.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit[:9]) <= 1000:
            raise InvalidArguments("limit: must be a whole number from 1 to 1000")
        return _json(MemoryKeys(keys=await self._memory().keys(request.query.get("prefix", ""), int(limit))))

    async def _get_memory(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        note = await self._memory().get(key)
        if note is None:
            return error_response(404, "unknown_key", f"nothing is remembered under {key[:100]!r}")
        return _json(MemoryItem(key=key, value=note.value, ttl_seconds=note.ttl_s))

    async def _put_memory(self, request: web.Request) -> web.Response:
        body = await _read(request, MemoryValue)
        await self._memory().set(request.match_info["key"], body.value, body.ttl_seconds)
        return web.Response(status=204)

    async def _delete_memory(self, request: web.Request) -> web.Response:
        key = request.match_info["key"]
        if not await self._memory().delete(key):
            return error_response(404, "unknown_key", f"nothing is remembered under {key[:100]!r}")
        return web.Response(status=204)


class _EventStream:
    """A response of server-sent events, begun with the first one."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        )
        self._lock = asyncio.Lock()
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": decoder("replace"), "stderr": decoder("replace")}

    @property
    def begun(self) -> bool:
        return self._response.prepared

    async def send_output(self, stream: Stream, data: bytes) -> None:
        if text := self._decoders[stream].decode(data):
            await self.send("output", {"stream": stream, "text": text})

    async def send(self, event: str, data: Json) -> None:
        async with self._lock:
            if not self.begun:
                await self._response.prepare(self._request)
            await self._response.write(f"event: {event}\ndata: {dump_json(data)}\n\n".encode("utf-8", "replace"))

    async def end(self) -> web.StreamResponse:
        await self._response.write_eof()
        return self._response


def error_response(status: int, code: str, message: str) -> web.Response:
    """The one form of an error."""
    return web.json_response({"error": {"code": code, "message": message}}, status=status, dumps=dump_json)


def _json(model: BaseModel) -> web.Response:
    return web.Response(text=model.model_dump_json(by_alias=True, exclude_none=True), content_type="application/json")


async def _read(request: web.Request, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(await request.read() or b"{}")
    except ValidationError as error:
        problems = [f"{'/'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()[:5]]
        raise InvalidArguments("; ".join(problems)) from error
