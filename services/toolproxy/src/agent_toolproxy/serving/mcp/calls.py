"""`tools/list` and `tools/call`, as far as both eras agree on them."""

import base64
import hashlib
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.call import Call, ProgressListener, text_result
from agent_toolproxy.errors import CallError, InvalidArguments, UnknownTool, UpstreamRejected
from agent_toolproxy.mcp.messages import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    MISSING_CAPABILITY,
    PREFIX,
    PROGRESS,
    Json,
    is_id,
    notification,
)

PAGE_TOOLS: Final = 500
_PROGRESS_EVERY_S: Final = 0.05
Send = Callable[[Json], Awaitable[None]]


class Tools(Protocol):
    """The toolbox, as far as it is needed here."""

    @property
    def listed(self) -> Sequence[Json]:
        """The definitions, in a fixed order."""

    async def call(self, name: str, call: Call) -> Json:
        """The result of a call. Raises CallError."""


@dataclass(frozen=True)
class RpcError(Exception):
    """Becomes a JSON-RPC error, with `status` where the answer is JSON of 2026-07-28."""

    code: int
    text: str
    status: int = 400
    data: Any = None


def list_page(listed: Sequence[Json], params: Mapping[str, Any]) -> Json:
    """One page: `tools`, and `nextCursor` unless it is the last. Raises RpcError for a cursor of another list."""
    start = 0
    stamp = ""
    if len(listed) > PAGE_TOOLS or "cursor" in params:
        stamp = hashlib.sha256(dump_json([each["name"] for each in listed]).encode()).hexdigest()[:12]
        start = _read_cursor(params["cursor"], stamp, len(listed)) if "cursor" in params else 0
    page: Json = {"tools": list(listed[start : start + PAGE_TOOLS])}
    if start + PAGE_TOOLS < len(listed):
        page["nextCursor"] = _write_cursor(stamp, start + PAGE_TOOLS)
    return page


def _write_cursor(stamp: str, start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([stamp, start]).encode()).decode()


def _read_cursor(cursor: object, stamp: str, total: int) -> int:
    try:
        given, start = json.loads(base64.urlsafe_b64decode(str(cursor).encode()))
        if given == stamp and isinstance(start, int) and 0 < start < total:
            return start
    except (ValueError, TypeError):
        pass
    raise RpcError(INVALID_PARAMS, "the cursor is not of this list: list again without one")


async def call_tool(tools: Tools, params: Json, send: Send, *, modern: bool) -> Json:
    """The result of a call. Raises RpcError for what is not a tool's own failure."""
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "params.name must be a string")
    if not isinstance(arguments if arguments is not None else {}, dict):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object")
    try:
        return await tools.call(name, _make_call(params, arguments or {}, send, modern=modern))
    except UnknownTool as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    except UpstreamRejected as error:
        status = 400 if error.rpc_code in (INVALID_PARAMS, MISSING_CAPABILITY) else 200
        raise RpcError(error.rpc_code, str(error), status, error.data) from error
    except InvalidArguments as error:
        return text_result(f"invalid arguments: {error}", is_error=True)
    except CallError as error:
        return text_result(str(error), is_error=True)


def _make_call(params: Json, arguments: Json, send: Send, *, modern: bool) -> Call:
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    progress = throttle(meta["progressToken"], send) if is_id(meta.get("progressToken")) else None
    return Call(
        arguments=arguments,
        meta={key: value for key, value in meta.items() if not key.startswith(PREFIX) and key != "progressToken"},
        modern=modern,
        capabilities=relayed_capabilities(meta) if modern else {},
        retry={key: params[key] for key in ("inputResponses", "requestState") if modern and key in params},
        on_progress=progress,
    )


def relayed_capabilities(meta: Mapping[str, Any]) -> Json:
    """Those of the caller's capabilities that it can be asked for through us."""
    capabilities = meta.get(f"{PREFIX}clientCapabilities")
    if not isinstance(capabilities, dict):
        return {}
    return {key: capabilities[key] for key in ("elicitation", "sampling", "roots") if key in capabilities}


def throttle(token: Any, send: Send, clock: Callable[[], float] = time.monotonic) -> ProgressListener:  # noqa: ANN401 - id
    """Progress under the caller's token: strictly increasing, and not more often than anyone can look."""
    last_sent = -1.0
    last_progress = float("-inf")

    async def listen(progress: Json) -> None:
        nonlocal last_sent, last_progress
        value, now = progress["progress"], clock()
        final = value >= progress.get("total", math.inf)
        if value <= last_progress or (now - last_sent < _PROGRESS_EVERY_S and not final):
            return
        last_sent, last_progress = now, value
        await send(notification(PROGRESS, {"progressToken": token, **progress}))

    return listen


def internal_error() -> RpcError:
    """For what nobody foresaw; the detail is in the log."""
    return RpcError(INTERNAL_ERROR, "the tool proxy failed: see its log", 200)
