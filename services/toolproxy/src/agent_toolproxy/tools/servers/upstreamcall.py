"""One request to a server behind the proxy, for a client who is asked meanwhile what the server wants to know."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from agent_api.toolsconfig import ToolLimits
from agent_toolproxy.call import Call, Caller, CallerRefused, Json
from agent_toolproxy.errors import (
    ToolBusy,
    ToolProxyError,
    UpstreamHttp,
    UpstreamProtocol,
    UpstreamUnavailable,
)
from agent_toolproxy.mcp.caller import BoundedCaller
from agent_toolproxy.mcp.client import Session
from agent_toolproxy.mcp.export import ExportedTool
from agent_toolproxy.mcp.outcome import show_failure, show_result
from agent_toolproxy.tools.concurrency import Gate

_log = logging.getLogger(__name__)
MOST_ROUNDS: Final = 20
_MOST_INPUTS: Final = 20
MakeHeaders = Callable[[], Mapping[str, str]]


class Server(Protocol):
    """A configured server, as far as it is needed here."""

    gate: Gate

    @property
    def name(self) -> str:
        """As it is configured."""

    @property
    def limits(self) -> ToolLimits:
        """As they are now."""

    async def session(self, timeout_s: float) -> Session:
        """The live session. Raises UpstreamUnavailable."""

    def request_check(self) -> None:
        """Find out whether the server is there."""


class UpstreamTool:
    """One tool of a server, as the handler of a served tool."""

    def __init__(self, server: Server, tool: ExportedTool) -> None:
        self._server = server
        self._tool = tool

    async def __call__(self, call: Call) -> Json:
        """Raises InvalidArguments, UpstreamRejected, ToolBusy. That the server is away is a result, for the model."""
        if self._tool.schema is not None:
            self._tool.schema.check(call.arguments)
        params: Json = {"name": self._tool.upstream_name, "arguments": dict(call.arguments)}
        try:
            headers = self._tool.headers
            return show_result(
                await send_to_server(self._server, "tools/call", params, call, lambda: headers.build(call.arguments))
            )
        except ToolBusy:
            raise
        except ToolProxyError as error:
            return show_failure(self._server.name, error, modern=call.modern)
        except Exception as error:  # noqa: BLE001 - the boundary of the server's answers
            _log.exception("an answer could not be handled", extra={"tool": self._tool.definition["name"]})
            problem = UpstreamProtocol(f"its answer cannot be handled ({type(error).__name__})")
            return show_failure(self._server.name, problem)


async def send_to_server(
    server: Server, method: str, params: Json, call: Call, make_headers: MakeHeaders = dict[str, str]
) -> Json:
    """The server's result, which is sent once. Raises UpstreamError, ToolBusy."""
    limits = server.limits
    timeout_s = min(limits.timeout_seconds, call.timeout_s or limits.timeout_seconds)
    own = {"_meta": dict(call.meta)} if call.meta else {}

    async def send(more: Mapping[str, object]) -> Json:
        session = await server.session(min(timeout_s, limits.upstream_timeout_seconds))
        return await session.call(
            method,
            {**params, **more, **own},
            timeout_s=timeout_s,
            capabilities=call.capabilities,
            headers=make_headers() if session.era == "modern" else {},
            caller=call.caller,
            on_progress=call.on_progress,
        )

    try:
        async with server.gate.enter(timeout_s):
            result = await send(call.retry)
            if call.caller is None or call.modern:
                return result
            return await _with_answers(result, send, BoundedCaller(call.caller))
    except (UpstreamUnavailable, UpstreamHttp):
        server.request_check()
        raise


async def _with_answers(result: Json, send: Callable[[Mapping[str, object]], Awaitable[Json]], caller: Caller) -> Json:
    """The final result, for a client whose revision has no `input_required`: it is asked what the server asks for."""
    for _ in range(MOST_ROUNDS):
        if result.get("resultType", "complete") == "complete":
            return result
        wanted = result.get("inputRequests", {})
        if not isinstance(wanted, dict) or len(wanted) > _MOST_INPUTS:
            raise UpstreamProtocol(f"it asks for input in a form that is none, or for more than {_MOST_INPUTS} at once")
        more: dict[str, object] = {"inputResponses": {key: await _ask(caller, each) for key, each in wanted.items()}}
        if "requestState" in result:
            more["requestState"] = result["requestState"]
        result = await send(more)
    raise UpstreamProtocol(f"it asked for input more than {MOST_ROUNDS} times")


async def _ask(caller: Caller, question: object) -> Json:
    method = question.get("method") if isinstance(question, dict) else None
    params = question.get("params", {}) if isinstance(question, dict) else None
    if not isinstance(method, str) or not isinstance(params, dict):
        raise UpstreamProtocol("it asks for input in a form that is none")
    try:
        return await caller.ask(method, params)
    except CallerRefused as refusal:
        raise UpstreamProtocol(f"it asks for input, and the client did not give it: {refusal}") from refusal
