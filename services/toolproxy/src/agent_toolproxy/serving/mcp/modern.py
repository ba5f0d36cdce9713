"""2026-07-28: every request says by itself what it needs, so there is no session to keep."""

from collections.abc import Mapping
from typing import Any, Final

from agent_toolproxy.mcp.codec import decode_header
from agent_toolproxy.mcp.messages import (
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
    NAMED,
    SERVER_INFO,
    UNSUPPORTED_VERSION,
    Json,
    response,
)
from agent_toolproxy.serving.mcp.answer import Answer, Reply
from agent_toolproxy.serving.mcp.callers import ModernCaller
from agent_toolproxy.serving.mcp.calls import Asked, RpcError, describe_wire, relayed_capabilities
from agent_toolproxy.serving.mcp.methods import CAPABILITIES, LISTS, METHODS, READ, Methods
from agent_toolproxy.tools.servers.signals import Signals

TTL_MS: Final = 10_000
CACHE_SCOPE: Final = "private"
LISTEN: Final = "subscriptions/listen"
_DISCOVER: Final = "server/discover"
_METHODS: Final = frozenset({_DISCOVER, LISTEN, *METHODS})


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
    if (key := NAMED.get(message["method"])) is not None:
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

    def __init__(self, methods: Methods, signals: Signals) -> None:
        self._methods = methods
        self._signals = signals

    async def answer(self, message: Json, answer: Answer) -> Reply:
        """The reply to a request other than `subscriptions/listen`. Raises RpcError."""
        method, params = message["method"], message["params"]
        if method == _DISCOVER:
            return Reply(response(message["id"], complete(self._discover())))
        meta = params["_meta"]
        level = meta.get(KEY_LOG_LEVEL)
        if level is not None:
            self._signals.want_log(level)
        asked = Asked(
            params,
            answer.notify,
            modern=True,
            capabilities=relayed_capabilities(meta[KEY_CAPABILITIES]),
            caller=ModernCaller(answer, level),
            wire=describe_wire(message["id"], meta[KEY_VERSION]),
        )
        result = await self._methods.answer(method, asked)
        return Reply(response(message["id"], complete({**result, **_caching(method, result)})))

    @staticmethod
    def _discover() -> Json:
        return {
            "supportedVersions": list(ANNOUNCED),
            "capabilities": dict(CAPABILITIES),
            "instructions": INSTRUCTIONS,
            "ttlMs": 60_000,
            "cacheScope": CACHE_SCOPE,
        }


def _caching(method: str, result: Json) -> Json:
    """How long a result may be kept: what a server says of its contents may change at any time."""
    if method in LISTS:
        return {"ttlMs": TTL_MS, "cacheScope": CACHE_SCOPE}
    if method == READ and result.get("resultType", "complete") == "complete":
        return {"ttlMs": 0, "cacheScope": CACHE_SCOPE}
    return {}


def complete(result: Json) -> Json:
    """A result with what every result has; a server behind us does not speak in its own name."""
    meta = {key: value for key, value in (result.get("_meta") or {}).items() if key != KEY_SUBSCRIPTION}
    return {"resultType": "complete", **result, "_meta": {**meta, KEY_SERVER: dict(SERVER_INFO)}}
