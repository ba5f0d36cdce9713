"""The same word in both dialects, and the small forms that both directions share."""

import json
import re
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.translate.base import Target, refuse

STOP_TO_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
}
CUT: Final = {
    "length": "length", "max_tokens": "length", "max_output_tokens": "length", "model_length": "length",
    "content_filter": "content_filter", "safety": "content_filter", "recitation": "content_filter",
    "blocklist": "content_filter", "prohibited_content": "content_filter", "spii": "content_filter",
    "refusal": "content_filter", "sensitive": "content_filter",
}  # fmt: skip
"""Finish reasons of an answer that the model did not end, in the words of all providers, as OpenAI has them."""
_CUT_TO_STOP: Final = {"length": "max_tokens", "content_filter": "refusal"}
UNSIGNED: Final = "YWdlbnRiZXJ0aC11bnNpZ25lZA=="
"""The signature of thoughts that the gateway made of those of another provider: nobody will take them for its own.

Base64 of `agentberth-unsigned`, since there are clients that keep the bytes of a signature and encode them again.
"""
TOOL_ERROR: Final = "[tool error] "
"""Marks the result of a tool that failed where the dialect has no field for it."""

EFFORT_BUDGETS: Final = ((2048, "low"), (8192, "medium"))
"""Tokens of thought up to which an effort goes; above is high."""


def is_cut(finish: str | None) -> bool:
    """Whether an answer was ended by a limit, so that its last part may be unfinished."""
    return CUT.get((finish or "").lower()) is not None


def stop_reason(finish: str | None, *, has_calls: bool, refused: bool) -> str:
    """The stop reason for a finish reason. Some providers say `stop` with tool calls: the calls are what counts."""
    cut = CUT.get((finish or "").lower())
    if cut is not None:
        return _CUT_TO_STOP[cut]
    if has_calls:
        return "tool_use"
    return "refusal" if refused else "end_turn"


def effort_of_budget(budget_tokens: int) -> str:
    """The effort that a number of tokens of thought is nearest to."""
    return next((effort for most, effort in EFFORT_BUDGETS if budget_tokens <= most), "high")


INVALID_ARGUMENTS: Final = "invalid_arguments"
"""Holds what a model wrote in place of a JSON object: the conversation goes on with an API that has objects only."""


def parse_arguments(arguments: str, target: Target) -> msgspec.Raw:
    """Arguments of a call as the JSON object that they are, with their bytes, or as one that holds them."""
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        target.drop("messages[].tool_calls[].function.arguments")
        return msgspec.Raw(msgspec.json.encode({INVALID_ARGUMENTS: arguments}))
    return msgspec.Raw(arguments.encode("utf-8", "replace"))


IMAGE_TYPES: Final = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
"""Names of pictures' types that are no names, and what they mean."""


def _image_type(media_type: str) -> str:
    return IMAGE_TYPES.get(media_type.lower(), media_type.lower())


def _joined(data: str) -> str:
    """Base64 in one line; some encoders break it."""
    return "".join(data.split()) if _SPACE.search(data) else data


_SPACE: Final = re.compile(r"\s")


def data_url(media_type: str, data: str) -> str:
    """An image in a URL."""
    return f"data:{_image_type(media_type)};base64,{_joined(data)}"


def image_source(url: str, where: str) -> dict[str, Any]:
    """The image behind a URL, as the messages API has it. Raises NotCarriedError for another kind of URL."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        media_type, _, encoding = head.partition(";")
        if not comma or not encoding.endswith("base64") or not media_type.lower().startswith("image/"):
            refuse(f"{where}: only base64 data URLs of images can be carried", where)
        return {"type": "base64", "media_type": _image_type(media_type), "data": _joined(data)}
    if not url.startswith(("https://", "http://")):
        refuse(f"{where}: only http(s) and data URLs can be carried", where)
    return {"type": "url", "url": url}
