"""2026-07-28: every request says by itself what it needs, so there is no session to keep."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Protocol

from aiohttp import web

from agent_toolproxy.mcp.codec import decode_header
from agent_toolproxy.mcp.messages import (
    ACKNOWLEDGED,
    ANNOUNCED,
    HEADER_METHOD,
    HEADER_MISMATCH,
    HEADER_NAME,
    HEADER_VERSION,
    INSTRUCTIONS,
    INVALID_PARAMS,
    KEY_CAPABILITIES,
    KEY_LOG_LEVEL,
    KEY_SERVER,
    KEY_SUBSCRIPTION,
    KEY_VERSION,
    LOG_LEVELS,
    METHOD_NOT_FOUND,
    MODERN_VERSIONS,
    SERVER_INFO,
    TOOLS_CHANGED,
    UNSUPPORTED_VERSION,
    Json,
    RequestId,
    notification,
    response,
)
from agent_toolproxy.serving.mcp.answer import Answer, Reply
from agent_toolproxy.serving.mcp.calls import RpcError, Tools, call_tool, list_page

TTL_MS: Final = 10_000
CACHE_SCOPE: Final = "private"
LISTEN: Final = "subscriptions/listen"
_METHODS: Final = frozenset({"server/discover", "tools/list", "tools/call", LISTEN})
_NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


def check_request(message: Json, headers: Mapping[str, Any]) -> None:
    """The ladder that every request climbs; the first rung that fails is the answer. Raises RpcError.

    `headers` is aiohttp's multidict.
    """
    params = message.get("params", {})
    meta = params.get("_meta")
    if not isinstance(meta, dict) or not isinstance(meta.get(KEY_VERSION), str):
        raise RpcError(INVALID_PARAMS, f"params._meta must have {KEY_VERSION}, a string")
    if not isinstance(meta.get(KEY_CAPABILITIES), dict):
        raise RpcError(INVALID_PARAMS, f"params._meta must have {KEY_CAPABILITIES}, an object")
    _check_headers(message, params, meta[KEY_VERSION], headers)
    if meta[KEY_VERSION] not in MODERN_VERSIONS:
        data = {"supported": list(ANNOUNCED), "requested": meta[KEY_VERSION]}
        raise RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version", 400, data)
    if message["method"] not in _METHODS:
        raise RpcError(METHOD_NOT_FOUND, "Method not found", 404)
    if meta.get(KEY_LOG_LEVEL, "debug") not in LOG_LEVELS:
        raise RpcError(INVALID_PARAMS, f"{KEY_LOG_LEVEL} must be one of {', '.join(LOG_LEVELS)}")


def _check_headers(message: Json, params: Json, version: str, headers: Mapping[str, Any]) -> None:
    _check_header(headers, HEADER_VERSION, version)
    _check_header(headers, HEADER_METHOD, message["method"])
    if (key := _NAMED.get(message["method"])) is not None:
        name = params.get(key)
        if not isinstance(name, str):
            raise RpcError(INVALID_PARAMS, f"params.{key} must be a string")
        _check_header(headers, HEADER_NAME, name, encoded=True)


def _check_header(headers: Mapping[str, Any], name: str, expected: str, *, encoded: bool = False) -> None:
    values = headers.getall(name, [])  # type: ignore[attr-defined]
    if len(values) != 1:
        raise RpcError(HEADER_MISMATCH, f"the header {name} must be there, once")
    try:
        value = decode_header(values[0]) if encoded else values[0]
    except ValueError as error:
        raise RpcError(HEADER_MISMATCH, f"the header {name} is malformed: {error}") from error
    if value != expected:
        raise RpcError(HEADER_MISMATCH, f"the header {name} is not what the body says")


class ModernServer:
    """Answers requests that have climbed the ladder."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def answer(self, message: Json, answer: Answer) -> Reply:
        """The reply to a request other than `subscriptions/listen`. Raises RpcError."""
        params = message["params"]
        if message["method"] == "server/discover":
            result = self._discover()
        elif message["method"] == "tools/list":
            result = {**list_page(self._tools.listed, params), "ttlMs": TTL_MS, "cacheScope": CACHE_SCOPE}
        else:
            result = await call_tool(self._tools, params, answer.notify, modern=True)
        return Reply(response(message["id"], complete(result)))

    @staticmethod
    def _discover() -> Json:
        return {
            "supportedVersions": list(ANNOUNCED),
            "capabilities": {"tools": {"listChanged": True}},
            "instructions": INSTRUCTIONS,
            "ttlMs": 60_000,
            "cacheScope": CACHE_SCOPE,
        }


def complete(result: Json) -> Json:
    """A result with what every result has; a server behind us does not speak in its own name."""
    meta = {key: value for key, value in (result.get("_meta") or {}).items() if key != KEY_SUBSCRIPTION}
    return {"resultType": "complete", **result, "_meta": {**meta, KEY_SERVER: dict(SERVER_INFO)}}


class WatchedTools(Protocol):
    """Tools whose list can be watched."""

    def changes(self) -> AsyncIterator[None]:
        """After each change of the list."""


class Subscription:
    """One `subscriptions/listen`: an event stream until the client goes, or we do."""

    def __init__(self, message: Json, answer: Answer, tools: WatchedTools) -> None:
        wanted = message["params"].get("notifications")
        if not isinstance(wanted, dict):
            raise RpcError(INVALID_PARAMS, "params.notifications must be an object")
        self._honoured = {"toolsListChanged": True} if wanted.get("toolsListChanged") is True else {}
        self._id: RequestId = message["id"]
        self._answer = answer
        self._tools = tools

    async def serve(self, closing: asyncio.Event, keep_alive_s: float) -> web.StreamResponse:
        changes = self._tools.changes()
        await self._send(ACKNOWLEDGED, {"notifications": self._honoured})
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._relay(changes))
            beating = group.create_task(self._beat(keep_alive_s))
            await closing.wait()
            sending.cancel()
            beating.cancel()
        result = complete({"_meta": {}})
        result["_meta"][KEY_SUBSCRIPTION] = self._id
        return await self._answer.finish(Reply(response(self._id, result)))

    async def _relay(self, changes: AsyncIterator[None]) -> None:
        async for _ in changes:
            if self._honoured:
                await self._send(TOOLS_CHANGED, {})

    async def _beat(self, keep_alive_s: float) -> None:
        while True:
            await asyncio.sleep(keep_alive_s)
            await self._answer.keep_alive()

    async def _send(self, method: str, params: Json) -> None:
        await self._answer.notify(notification(method, {**params, "_meta": {KEY_SUBSCRIPTION: self._id}}))
