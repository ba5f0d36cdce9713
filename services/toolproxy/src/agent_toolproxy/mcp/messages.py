"""The vocabulary of MCP: versions, keys, codes, and the JSON-RPC messages around them."""

from collections.abc import Mapping
from typing import Any, Final

from agent_toolproxy import __version__

Json = dict[str, Any]
RequestId = str | int

MODERN: Final = "2026-07-28"
MODERN_VERSIONS: Final = (MODERN,)
LATEST_LEGACY: Final = "2025-11-25"
LEGACY_VERSIONS: Final = (LATEST_LEGACY, "2025-06-18", "2025-03-26")
OLDEST: Final = "2025-03-26"
BEFORE_HTTP: Final = "2024-11-05"
"""Its clients speak to us if they are asked to; it is echoed, not announced."""
ANNOUNCED: Final = (*MODERN_VERSIONS, *LEGACY_VERSIONS)

PREFIX: Final = "io.modelcontextprotocol/"
KEY_VERSION: Final = PREFIX + "protocolVersion"
KEY_CAPABILITIES: Final = PREFIX + "clientCapabilities"
KEY_CLIENT: Final = PREFIX + "clientInfo"
KEY_SERVER: Final = PREFIX + "serverInfo"
KEY_SUBSCRIPTION: Final = PREFIX + "subscriptionId"
KEY_LOG_LEVEL: Final = PREFIX + "logLevel"
LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

HEADER_VERSION: Final = "MCP-Protocol-Version"
HEADER_METHOD: Final = "Mcp-Method"
HEADER_NAME: Final = "Mcp-Name"
HEADER_SESSION: Final = "Mcp-Session-Id"
NAMED: Final[Mapping[str, str]] = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that `Mcp-Name` repeats, by method."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
NO_RESOURCE: Final = -32002
"""Of the handshake revisions; 2026-07-28 has INVALID_PARAMS instead."""
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022

TOOLS_CHANGED: Final = "notifications/tools/list_changed"
PROMPTS_CHANGED: Final = "notifications/prompts/list_changed"
RESOURCES_CHANGED: Final = "notifications/resources/list_changed"
RESOURCE_UPDATED: Final = "notifications/resources/updated"
LOG_MESSAGE: Final = "notifications/message"
PROGRESS: Final = "notifications/progress"
CANCELLED: Final = "notifications/cancelled"
ACKNOWLEDGED: Final = "notifications/subscriptions/acknowledged"

ELICIT: Final = "elicitation/create"
SAMPLE: Final = "sampling/createMessage"

SERVER_INFO: Final[Mapping[str, str]] = {"name": "agentberth-toolproxy", "version": __version__}
INSTRUCTIONS: Final = (
    "Tools and prompts of MCP servers are named <server>__<name>. Resources have their servers' own URIs; one that "
    "another server has too is <server>+<uri>, and each can be read under that form."
)


def request(message_id: RequestId, method: str, params: Json | None = None) -> Json:
    """A request."""
    message: Json = {"jsonrpc": "2.0", "id": message_id, "method": method}
    return message | ({"params": params} if params is not None else {})


def notification(method: str, params: Json | None = None) -> Json:
    """A notification."""
    message: Json = {"jsonrpc": "2.0", "method": method}
    return message | ({"params": params} if params is not None else {})


def response(message_id: RequestId, result: Json) -> Json:
    """A response with a result."""
    return {"jsonrpc": "2.0", "id": message_id, "result": result}


def error(message_id: RequestId | None, code: int, text: str, data: Any = None) -> Json:  # noqa: ANN401 - any JSON
    """An error; without an id when none could be read."""
    detail: Json = {"code": code, "message": text}
    if data is not None:
        detail["data"] = data
    message: Json = {"jsonrpc": "2.0"}
    if message_id is not None:
        message["id"] = message_id
    return message | {"error": detail}


def is_id(value: object) -> bool:
    """Whether it may be the id of a request."""
    return isinstance(value, str | int) and not isinstance(value, bool)
