"""What servers answer about their resources and prompts, made readable: clients refuse a whole answer for one part."""

from collections.abc import Callable
from typing import Any, Final

from agent_toolproxy.boundedjson import DEEPEST, is_deeper
from agent_toolproxy.errors import UpstreamProtocol
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.mcp.outcome import own_meta, readable_blocks

MOST_COMPLETIONS: Final = 100
_LONGEST_COMPLETION_CHARS: Final = 4096
_ROLES: Final = ("user", "assistant")
ShowUri = Callable[[str], str]


def show_contents(result: Json, show_uri: ShowUri) -> Json:
    """The result of `resources/read`, with URIs under which the same can be read here. Raises UpstreamProtocol."""
    if _asks(result):
        return _common(result)
    contents = result.get("contents")
    if not isinstance(contents, list):
        raise UpstreamProtocol("the answer to resources/read has no contents")
    return {**_common(result), "contents": [_show_content(each, show_uri) for each in contents]}


def _show_content(content: Any, show_uri: ShowUri) -> Json:  # noqa: ANN401 - any JSON
    if not isinstance(content, dict) or not isinstance(content.get("uri"), str):
        raise UpstreamProtocol("a part of the resource is not an object with a uri")
    kind = next((key for key in ("text", "blob") if isinstance(content.get(key), str)), None)
    if kind is None or not isinstance(content.get("mimeType"), str | None):
        raise UpstreamProtocol("a part of the resource has neither text nor blob, or a mimeType that is not text")
    shown: Json = {"uri": show_uri(content["uri"]), kind: content[kind]}
    if content.get("mimeType") is not None:
        shown["mimeType"] = content["mimeType"]
    if isinstance(content.get("_meta"), dict):
        shown["_meta"] = content["_meta"]
    return shown


def show_prompt(result: Json) -> Json:
    """The result of `prompts/get`. Raises UpstreamProtocol."""
    if _asks(result):
        return _common(result)
    messages = result.get("messages")
    if not isinstance(messages, list):
        raise UpstreamProtocol("the answer to prompts/get has no messages")
    shown = {**_common(result), "messages": [_show_message(each) for each in messages]}
    if isinstance(result.get("description"), str):
        shown["description"] = result["description"]
    return shown


def _show_message(message: Any) -> Json:  # noqa: ANN401 - any JSON
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise UpstreamProtocol("a message of the prompt has no role that is one")
    blocks = readable_blocks(message.get("content"))
    if len(blocks) != 1:
        raise UpstreamProtocol("a message of the prompt has not one content")
    return {"role": message["role"], "content": blocks[0]}


def show_completion(result: Json) -> Json:
    """The result of `completion/complete`. Raises UpstreamProtocol."""
    found = result.get("completion")
    completion: Json = found if isinstance(found, dict) else {}
    values = completion.get("values")
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise UpstreamProtocol("the answer to completion/complete has no values")
    shown: Json = {"values": [each[:_LONGEST_COMPLETION_CHARS] for each in values[:MOST_COMPLETIONS]]}
    if isinstance(total := completion.get("total"), int) and not isinstance(total, bool):
        shown["total"] = total
    if isinstance(more := completion.get("hasMore"), bool):
        shown["hasMore"] = more or len(values) > MOST_COMPLETIONS
    return {"completion": shown}


def _asks(result: Json) -> bool:
    return bool(result.get("resultType", "complete") != "complete")


def _common(result: Json) -> Json:
    """What every result may have. Raises UpstreamProtocol for one that is nested too deeply for clients."""
    if is_deeper(result, DEEPEST):
        raise UpstreamProtocol(f"a result that is nested more than {DEEPEST} deep")
    keys = ("resultType", "inputRequests", "requestState") if _asks(result) else ()
    shown: Json = {key: result[key] for key in keys if key in result}
    return shown | ({"_meta": meta} if (meta := own_meta(result)) else {})
