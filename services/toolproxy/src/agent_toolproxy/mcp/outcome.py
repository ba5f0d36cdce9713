"""What became of a call to an upstream server, in the words of the proxy."""

from typing import Any, Final, NoReturn

from agent_toolproxy.boundedjson import DEEPEST, dump_json, is_deeper
from agent_toolproxy.call import Json, text_result
from agent_toolproxy.errors import (
    ToolProxyError,
    UpstreamProtocol,
    UpstreamRefused,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from agent_toolproxy.mcp.messages import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    KEY_SERVER,
    KEY_SUBSCRIPTION,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    UNSUPPORTED_VERSION,
)

_OUR_FAULT: Final = (HEADER_MISMATCH, UNSUPPORTED_VERSION, METHOD_NOT_FOUND)
_BLOCKS: Final = {
    "text": ("text",),
    "image": ("data", "mimeType"),
    "audio": ("data", "mimeType"),
    "resource_link": ("uri", "name"),
}
_LONGEST_BLOCK_CHARS: Final = 100_000
_UNTOUCHED: Final = ("content", "structuredContent", "isError", "resultType", "inputRequests", "requestState", "_meta")


def show_result(result: Json) -> Json:
    """A server's result as ours: its own name is taken off, and its content is made readable.

    Raises UpstreamProtocol for one that is nested too deeply for clients.
    """
    if is_deeper(result, DEEPEST):
        raise UpstreamProtocol(f"a result that is nested more than {DEEPEST} deep")
    shown: Json = {key: result[key] for key in _UNTOUCHED if key in result}
    if shown.get("resultType") == "complete":
        del shown["resultType"]
    shown.pop("_meta", None)
    if meta := own_meta(result):
        shown["_meta"] = meta
    if "resultType" not in shown:
        shown["content"] = readable_blocks(shown.get("content"))
    if not isinstance(shown.get("isError", False), bool):
        shown["isError"] = bool(shown["isError"])
    return shown


def own_meta(result: Json) -> Json:
    """The `_meta` of a result without what a server says of itself."""
    meta = result.get("_meta")
    if not isinstance(meta, dict):
        return {}
    return {key: value for key, value in meta.items() if key not in (KEY_SERVER, KEY_SUBSCRIPTION)}


def readable_blocks(content: object) -> list[Json]:
    """The blocks; what is not one becomes text, since one malformed block makes clients refuse the whole answer."""
    if content is None:
        return []
    blocks: list[Any] = content if isinstance(content, list) else [content]
    return [each if _is_block(each) else _as_text(each) for each in blocks]


def _is_block(block: Any) -> bool:  # noqa: ANN401 - any JSON
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        return False
    if block["type"] == "resource":
        resource = block.get("resource")
        return isinstance(resource, dict) and _has_texts(resource, "uri") and bool({"text", "blob"} & set(resource))
    return block["type"] in _BLOCKS and _has_texts(block, *_BLOCKS[block["type"]])


def _has_texts(value: Json, *keys: str) -> bool:
    return all(isinstance(value.get(key), str) for key in keys)


def _as_text(block: object) -> Json:
    return {"type": "text", "text": block if isinstance(block, str) else dump_json(block)[:_LONGEST_BLOCK_CHARS]}


def show_failure(server: str, error: ToolProxyError, *, modern: bool = False) -> Json:
    """A failure as a result that a model can read, if it is not one for the caller. Raises UpstreamRejected."""
    if isinstance(error, UpstreamRefused):
        if error.code == MISSING_CAPABILITY and modern:
            raise UpstreamRejected(MISSING_CAPABILITY, f"{server}: {error}", error.data) from error
        if error.code == MISSING_CAPABILITY:
            return text_result(f"{server}: this tool needs something that the client cannot do: {error}", is_error=True)
        raise_refusal(server, error)
    if isinstance(error, UpstreamTimeout):
        return text_result(f"{server}: {error}. It may still be at work.", is_error=True)
    if isinstance(error, UpstreamUnavailable):
        return text_result(f"{server} is not available now: {error}", is_error=True)
    return text_result(f"{server}: {error}", is_error=True)


def raise_refusal(server: str, refusal: UpstreamRefused) -> NoReturn:
    """A server's JSON-RPC error: what is the caller's passes, what is between us and the server does not."""
    if refusal.code == INVALID_PARAMS:
        raise UpstreamRejected(INVALID_PARAMS, f"{server}: {refusal}", refusal.data) from refusal
    if refusal.code in _OUR_FAULT:
        text = f"{server} does not take what the proxy sends ({refusal.code}): {refusal}"
        raise UpstreamRejected(INTERNAL_ERROR, text) from refusal
    data = {"server": server, "code": refusal.code, "message": str(refusal)}
    raise UpstreamRejected(INTERNAL_ERROR, f"{server} failed: {refusal}", data) from refusal
