"""What 2026-07-28 says, in the words of the handshake revisions."""

from typing import Final

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.mcp.messages import BEFORE_HTTP, OLDEST, PREFIX, Json

_FIRST: Final = (OLDEST, BEFORE_HTTP)
_UNKNOWN_TO_FIRST: Final = ("title", "outputSchema", "icons", "execution", "_meta")


def lower_tool(tool: Json, version: str) -> Json:
    """A tool definition for clients of `version`."""
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
    lowered = {key: value for key, value in result.items() if key not in ("resultType", "ttlMs", "cacheScope", "_meta")}
    if meta := {key: value for key, value in (result.get("_meta") or {}).items() if not key.startswith(PREFIX)}:
        lowered["_meta"] = meta
    if "structuredContent" in lowered and (version in _FIRST or not isinstance(lowered["structuredContent"], dict)):
        structured = lowered.pop("structuredContent")
        if not lowered.get("content"):
            lowered["content"] = [{"type": "text", "text": dump_json(structured)}]
    if version in _FIRST:
        lowered["content"] = [_lower_block(block) for block in lowered.get("content", [])]
    return lowered


def _lower_block(block: Json) -> Json:
    if block.get("type") == "resource_link":
        return {"type": "text", "text": f"{block.get('name', 'resource')}: {block.get('uri', '')}"}
    if block.get("type") == "audio":
        return {"type": "text", "text": f"[audio, {block.get('mimeType', 'unknown type')}]"}
    return block
