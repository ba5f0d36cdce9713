"""Items and documents of the responses API, as the gateway makes them.

Their ids have a mark of their own: a conversation that goes on at OpenAI must not point to what OpenAI never made.
"""

import secrets
from typing import Any, Final

from agent_llmgateway.wire.translate.words import CUT

Document = dict[str, Any]
MARK: Final = "agb"
"""Stands behind the first `_` of every id that the gateway makes."""
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def new_answer_id() -> str:
    """The part that ids of one answer share."""
    return f"{MARK}{secrets.token_hex(16)}"


def message_item(answer_id: str, number: int, text: str, *, refused: bool = False) -> Document:
    """Output: text, or a refusal."""
    part: Document = {"type": "output_text", "text": text, "annotations": []}
    if refused:
        part = {"type": "refusal", "refusal": text}
    return {
        "type": "message",
        "id": f"msg_{answer_id}_{number}",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }


def call_item(answer_id: str, number: int, call_id: str, name: str, arguments: str) -> Document:
    """Output: a call."""
    return {
        "type": "function_call",
        "id": f"fc_{answer_id}_{number}",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": "completed",
    }


def custom_call_item(answer_id: str, number: int, call_id: str, known: Document, given: str) -> Document:
    """Output: a call of a custom tool, `known` by these names."""
    item: Document = {
        "type": "custom_tool_call",
        "id": f"ctc_{answer_id}_{number}",
        "call_id": call_id,
        "name": known["name"],
        "input": given,
        "status": "completed",
    }
    return {**item, "namespace": known["namespace"]} if "namespace" in known else item


def reasoning_item(answer_id: str, number: int, text: str) -> Document:
    """Output: thoughts."""
    content = [{"type": "reasoning_text", "text": text}]
    return {"type": "reasoning", "id": f"rs_{answer_id}_{number}", "summary": [], "content": content}


def response_document(
    answer_id: str, model: str, created: float, items: list[Document], *, finish: str | None, usage: Document | None
) -> Document:  # fmt: skip
    """A response; `finish` None is one that goes on."""
    reason = _INCOMPLETE.get(CUT.get((finish or "").lower(), ""))
    status = "in_progress" if finish is None else "incomplete" if reason else "completed"
    return {
        "id": f"resp_{answer_id}",
        "object": "response",
        "created_at": int(created),
        "status": status,
        "model": model,
        "output": items,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": usage,
    }
