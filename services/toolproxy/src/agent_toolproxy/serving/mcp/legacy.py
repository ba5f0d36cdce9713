"""The handshake revisions, without a session: no id is minted, so no state has to be kept for anyone.

The price is small for tools: no notifications beside a running call, and no way to cancel one by its id, because
ids are the clients' own and two clients may use the same.
"""

from typing import Final

from agent_toolproxy.mcp.messages import (
    BEFORE_HTTP,
    INSTRUCTIONS,
    INVALID_PARAMS,
    LATEST_LEGACY,
    LEGACY_VERSIONS,
    METHOD_NOT_FOUND,
    SERVER_INFO,
    Json,
    error,
    response,
)
from agent_toolproxy.serving.mcp.answer import Answer, Reply
from agent_toolproxy.serving.mcp.calls import RpcError, Tools, call_tool, list_page
from agent_toolproxy.serving.mcp.downlevel import lower_result, lower_tool

_ECHOED: Final = frozenset({*LEGACY_VERSIONS, BEFORE_HTTP})


class LegacyServer:
    """Answers messages of the handshake revisions."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def answer(self, messages: tuple[Json, ...], version: str, answer: Answer, *, batch: bool) -> Reply:
        """The reply; without a message when there was nothing but notifications and responses."""
        replies = [
            await self._answer_one(message, version, answer)
            for message in messages
            if "method" in message and "id" in message
        ]
        if not replies:
            return Reply(None)
        return Reply(replies if batch else replies[0])

    async def _answer_one(self, message: Json, version: str, answer: Answer) -> Json:
        try:
            result = await self._result(message["method"], message.get("params", {}), version, answer)
        except RpcError as failure:
            return error(message["id"], failure.code, failure.text, failure.data)
        return response(message["id"], result)

    async def _result(self, method: str, params: Json, version: str, answer: Answer) -> Json:
        if method == "initialize":
            return _initialize(params)
        if method == "ping":
            return {}
        if method == "tools/list":
            page = list_page(self._tools.listed, params)
            return {**page, "tools": [lower_tool(tool, version) for tool in page["tools"]]}
        if method == "tools/call":
            return lower_result(await call_tool(self._tools, params, answer.notify, modern=False), version)
        raise RpcError(METHOD_NOT_FOUND, "Method not found")


def _initialize(params: Json) -> Json:
    wanted = params.get("protocolVersion")
    if not isinstance(wanted, str):
        raise RpcError(INVALID_PARAMS, "params.protocolVersion must be a string")
    return {
        "protocolVersion": wanted if wanted in _ECHOED else LATEST_LEGACY,
        "capabilities": {"tools": {}},
        "serverInfo": dict(SERVER_INFO),
        "instructions": INSTRUCTIONS,
    }
