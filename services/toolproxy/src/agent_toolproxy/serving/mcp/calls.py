"""A request as a call, and `tools/call`, as far as both eras agree on them."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from agent_toolproxy.call import Call, Caller, ProgressListener, text_result
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

_PROGRESS_EVERY_S: Final = 0.05
_PROGRESS_BURST: Final = 10
_LONGEST_ID: Final = 128
_HTTP: Final = {"network.transport": "tcp", "network.protocol.name": "http"}
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


@dataclass(frozen=True)
class Asked:
    """A request's params, and who asks: `send` writes messages ahead of the answer; `caller` can be asked, maybe."""

    params: Json
    send: Send
    modern: bool = False
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    caller: Caller | None = None
    wire: Mapping[str, str] = field(default_factory=dict)

    def call(self, arguments: Json) -> Call:
        """The call that is made of it."""
        meta = self.params.get("_meta")
        meta = meta if isinstance(meta, dict) else {}
        token = meta.get("progressToken")
        keys = ("inputResponses", "requestState") if self.modern else ()
        return Call(
            arguments=arguments,
            meta={key: value for key, value in meta.items() if not key.startswith(PREFIX) and key != "progressToken"},
            modern=self.modern,
            capabilities=self.capabilities,
            retry={key: self.params[key] for key in keys if key in self.params},
            caller=self.caller,
            wire=self.wire,
            on_progress=throttle(token, self.send) if is_id(token) else None,
        )


def describe_wire(request_id: object, version: str, session_id: str = "") -> dict[str, str]:
    """How a request of MCP came, in the words of OpenTelemetry's conventions for MCP."""
    told = {"jsonrpc.request.id": str(request_id)[:_LONGEST_ID], "mcp.protocol.version": version, **_HTTP}
    return {**told, "mcp.session.id": session_id} if session_id else told


async def call_tool(tools: Tools, asked: Asked) -> Json:
    """The result of a call. Raises RpcError for what is not a tool's own failure."""
    name, arguments = asked.params.get("name"), asked.params.get("arguments")
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "params.name must be a string")
    if not isinstance(arguments if arguments is not None else {}, dict):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object")
    try:
        return await tools.call(name, asked.call(arguments or {}))
    except UnknownTool as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    except UpstreamRejected as error:
        raise rejected(error) from error
    except InvalidArguments as error:
        return text_result(f"invalid arguments: {error}", is_error=True)
    except CallError as error:
        return text_result(str(error), is_error=True)


def rejected(error: UpstreamRejected) -> RpcError:
    """A server's JSON-RPC error, as ours."""
    status = 400 if error.rpc_code in (INVALID_PARAMS, MISSING_CAPABILITY) else 200
    return RpcError(error.rpc_code, str(error), status, error.data)


def relayed_capabilities(capabilities: object) -> Json:
    """Those of the caller's capabilities that it can be asked for through us."""
    if not isinstance(capabilities, dict):
        return {}
    return {key: capabilities[key] for key in ("elicitation", "sampling", "roots") if key in capabilities}


def throttle(token: Any, send: Send, clock: Callable[[], float] = time.monotonic) -> ProgressListener:  # noqa: ANN401 - id
    """Progress under the caller's token: strictly increasing, and not more often than anyone can look.

    Some steps may come at once; after that there is a rate.
    """
    allowance = float(_PROGRESS_BURST)
    filled_at = clock()
    last_progress = float("-inf")

    async def listen(progress: Json) -> None:
        nonlocal allowance, filled_at, last_progress
        value, now = progress["progress"], clock()
        allowance = min(_PROGRESS_BURST, allowance + (now - filled_at) / _PROGRESS_EVERY_S)
        filled_at = now
        final = value >= progress.get("total", math.inf)
        if value <= last_progress or (allowance < 1 and not final):
            return
        allowance, last_progress = max(0.0, allowance - 1), value
        await send(notification(PROGRESS, {"progressToken": token, **progress}))

    return listen


def internal_error() -> RpcError:
    """For what nobody foresaw; the detail is in the log."""
    return RpcError(INTERNAL_ERROR, "the tool proxy failed: see its log", 200)
