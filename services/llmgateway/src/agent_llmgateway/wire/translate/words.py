"""The same word in both dialects, and the small forms that both directions share."""

from typing import Any, Final

import msgspec

from agent_llmgateway.wire.translate.base import refuse

STOP_TO_FINISH: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "stop",
}
FINISH_TO_STOP: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
TOOL_ERROR: Final = "[tool error] "
"""Marks the result of a tool that failed where the dialect has no field for it."""

EFFORT_BUDGETS: Final = ((2048, "low"), (8192, "medium"))
"""Tokens of thought up to which an effort goes; above is high."""


def effort_of_budget(budget_tokens: int) -> str:
    """The effort that a number of tokens of thought is nearest to."""
    return next((effort for most, effort in EFFORT_BUDGETS if budget_tokens <= most), "high")


def parse_arguments(arguments: str, where: str) -> msgspec.Raw:
    """Arguments of a call as the JSON object that they are, with their bytes. Raises NotCarriedError."""
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        parsed = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        refuse(f"{where}: the arguments of a tool call must be a JSON object", where)
    return msgspec.Raw(arguments.encode())


def data_url(media_type: str, data: str) -> str:
    """An image in a URL."""
    return f"data:{media_type};base64,{data}"


def image_source(url: str, where: str) -> dict[str, Any]:
    """The image behind a URL, as the messages API has it. Raises NotCarriedError for another kind of URL."""
    if url.startswith("data:"):
        head, comma, data = url[5:].partition(",")
        media_type, _, encoding = head.partition(";")
        if not comma or encoding != "base64" or not media_type.startswith("image/"):
            refuse(f"{where}: only base64 data URLs of images can be carried", where)
        return {"type": "base64", "media_type": media_type, "data": data}
    if not url.startswith(("https://", "http://")):
        refuse(f"{where}: only http(s) and data URLs can be carried", where)
    return {"type": "url", "url": url}
