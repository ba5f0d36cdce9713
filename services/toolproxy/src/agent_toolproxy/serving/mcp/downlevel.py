"""What 2026-07-28 says, in the words of the handshake revisions."""

from collections.abc import Mapping
from typing import Final

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.mcp.messages import BEFORE_HTTP, OLDEST, PREFIX, Json

_FIRST: Final = (OLDEST, BEFORE_HTTP)
_UNKNOWN_TO_FIRST: Final = ("title", "outputSchema", "icons", "execution", "_meta")
_OF_MODERN: Final = ("resultType", "ttlMs", "cacheScope", "_meta")
_LISTED: Final[Mapping[str, str]] = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}


def lower(method: str, result: Json, version: str) -> Json:
    """The result of one of the methods of both eras, for clients of `version`."""
    if (key := _LISTED.get(method)) is not None:
        return {**result, key: [lower_tool(each, version) for each in result[key]]}
    if method == "tools/call":
        return lower_result(result, version)
    lowered = _without_modern(result)
    if method == "prompts/get" and version in _FIRST:
        messages = lowered.get("messages", [])
        lowered["messages"] = [{**each, "content": _lower_block(each["content"])} for each in messages]
    return lowered


def lower_tool(tool: Json, version: str) -> Json:
    """A definition, of a tool mostly, for clients of `version`."""
    if version in _FIRST:
        return {key: value for key, value in tool.items() if key not in _UNKNOWN_TO_FIRST}
    schema = tool.get("outputSchema")
    if schema is not None and not (isinstance(schema, dict) and schema.get("type") == "object"):
        return {key: value for key, value in tool.items() if key != "outputSchema"}
    return tool


def lower_result(result: Json, version: str) -> Json:
    """A call's result for clients of `version`; one that asks for input cannot be, and is an error."""
    if result.get("resultType", "complete") != "complete":
        text = "the tool asks for input, which this client's protocol version has no way to give"
        return {"content": [{"type": "text", "text": text}], "isError": True}
    lowered = _without_modern(result)
    if "structuredContent" in lowered and (version in _FIRST or not isinstance(lowered["structuredContent"], dict)):
        structured = lowered.pop("structuredContent")
        if not lowered.get("content"):
            lowered["content"] = [{"type": "text", "text": dump_json(structured)}]
    if version in _FIRST:
        lowered["content"] = [_lower_block(block) for block in lowered.get("content", [])]
    return lowered


def _without_modern(result: Json) -> Json:
    lowered = {key: value for key, value in result.items() if key not in _OF_MODERN}
    if meta := {key: value for key, value in (result.get("_meta") or {}).items() if not key.startswith(PREFIX)}:
        lowered["_meta"] = meta
    return lowered


def _lower_block(block: Json) -> Json:
    if block.get("type") == "resource_link":
        return {"type": "text", "text": f"{block.get('name', 'resource')}: {block.get('uri', '')}"}
    if block.get("type") == "audio":
        return {"type": "text", "text": f"[audio, {block.get('mimeType', 'unknown type')}]"}
    return block
