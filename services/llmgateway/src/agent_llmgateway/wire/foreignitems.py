"""Removes what a backup left in a conversation before it returns to the main provider.

Bytes go through untouched where client and provider speak one dialect. The exception is what the gateway itself, or
another provider, put there and this one is known to refuse for ever: ids of calls, thoughts without a valid
signature, and items of responses that OpenAI never made. Whether there is any is seen by a search for a few words.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from agent_llmgateway.wire.lenient import encode, read_json, word_at
from agent_llmgateway.wire.translate.answers.items import MARK
from agent_llmgateway.wire.translate.base import Target, refuse
from agent_llmgateway.wire.translate.requests.chatlimits import lead_with_instructions
from agent_llmgateway.wire.translate.toolids import LONGEST, CallIds, is_portable, portable_id, shorten_ids
from agent_llmgateway.wire.translate.words import UNSIGNED

Document = dict[str, Any]
_DEVELOPER: Final = re.compile(rb'"role"\s*:\s*"developer"')
_LONG_ID: Final = re.compile(rb'"tool_call_id"\s*:\s*"[^"]{%d}' % (LONGEST + 1))
_ODD_ID: Final = re.compile(rb'"tool_use_id"\s*:\s*"(?![A-Za-z0-9_-]+")')
_USE_ID: Final = re.compile(rb'"tool_use_id"\s*:\s*"([^"]*)"')
_FOREIGN_USE: Final = re.compile(rb'"tool_use_id"\s*:\s*"(?!(?:srv)?toolu_)')
_THINKING_ON: Final = re.compile(rb'"thinking"\s*:\s*\{[^{}]*"enabled"')
_LONG_CALL_ID: Final = re.compile(rb'"call_id"\s*:\s*"[^"]{65}')
_THINKING: Final = re.compile(rb'"type"\s*:\s*"thinking"')
_SIGNATURE: Final = re.compile(rb'"signature"\s*:\s*"[^"]')
_THOUGHTS: Final = ("thinking", "redacted_thinking")
_OWN: Final = f"_{MARK}"


def clean_request(dialect: str, body: bytes, target: Target) -> bytes:
    """`body`, as a provider takes it that did not make all of it. Raises NotCarriedError for an item that is gone."""
    found = _FINDERS.get(dialect)
    if found is None or not found[0](body, target):
        return body
    document = read_json(body)
    found[1](document, target)
    return encode(document)


# Chat completions


_FOREIGN_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_details")
"""Thoughts as other servers write them into the turns of a completion; OpenAI refuses turns that have them."""


def _chat_needs_it(body: bytes, target: Target) -> bool:
    if target.kind == "openai-compatible":
        if _wants_short_ids(target) and b'"tool_call_id"' in body:
            return True
        return target.options.get("developerRole") is not True and _is_developers(body)
    if target.kind != "openai":
        return False
    if target.is_vendor and any(f'"{name}"'.encode() in body for name in _FOREIGN_FIELDS):
        return True
    return b'"tool_call_id"' in body and bool(_LONG_ID.search(body))


def _is_developers(body: bytes) -> bool:
    """Whether a turn may be a developer's; a single word is found much faster than a pattern."""
    return b'"developer"' in body and bool(_DEVELOPER.search(body))


def _wants_short_ids(target: Target) -> bool:
    return target.options.get("toolIds") == "short"


def _clean_chat(document: Document, target: Target) -> None:
    if target.kind == "openai-compatible":
        if target.options.get("developerRole") is not True:
            _rename_developer(document, target)
        if _wants_short_ids(target):
            shorten_ids(_dicts(document.get("messages")))
        return
    for turn in _dicts(document.get("messages")):
        if len(word_at(turn.get("tool_call_id"))) > LONGEST:
            turn["tool_call_id"] = portable_id(turn["tool_call_id"])
        for call in _dicts(turn.get("tool_calls")):
            if len(word_at(call.get("id"))) > LONGEST:
                call["id"] = portable_id(call["id"])
                target.drop("messages[].tool_calls[].id")
        for name in _FOREIGN_FIELDS if target.is_vendor else ():
            if turn.pop(name, None) is not None:
                target.drop(f"messages[].{name}")


def _rename_developer(document: Document, target: Target) -> None:
    """Instructions by OpenAI's newer name, which other servers do not know."""
    renamed = [turn for turn in _dicts(document.get("messages")) if turn.get("role") == "developer"]
    if not renamed:
        return
    target.drop("messages[].role")
    for turn in renamed:
        turn["role"] = "system"
    turns = document.get("messages")
    if isinstance(turns, list) and all(map(_is_readable, turns)):
        document["messages"] = lead_with_instructions(turns)


def _is_readable(turn: object) -> bool:
    """Whether a turn has a role, and text where it is the system's: another one is the provider's to refuse."""
    if not isinstance(turn, dict) or "role" not in turn:
        return False
    content = turn.get("content")
    texts = content if isinstance(content, list) else [{"text": content}]
    return turn["role"] != "system" or all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in texts
    )


# Messages


def _messages_need_it(body: bytes, target: Target) -> bool:
    if b'"tool_use_id"' in body and (_ODD_ID.search(body) or _has_twice(_USE_ID.findall(body))):
        return True
    if b"thinking" not in body:
        return False
    if UNSIGNED.encode() in body:
        return True
    if target.is_vendor and _FOREIGN_USE.search(body) and _THINKING_ON.search(body):
        return True
    return target.is_vendor and len(_SIGNATURE.findall(body)) < len(_THINKING.findall(body))


def _clean_messages(document: Document, target: Target) -> None:
    removed, ids = False, CallIds()
    for message in _dicts(document.get("messages")):
        blocks = message.get("content")
        if not isinstance(blocks, list):
            continue
        kept = [block for block in blocks if not _is_foreign(block, target)]
        if len(kept) < len(blocks):
            removed = True
            message["content"] = kept or [{"type": "text", "text": "(no text)"}]
        for block in _dicts(message["content"]):
            for name, exchange in (("id", ids.of_call), ("tool_use_id", ids.of_result)):
                if isinstance(block.get(name), str):
                    block[name] = exchange(block[name])
    if removed:
        target.drop("messages[].content[].thinking")
    _fit_thinking(document, target)


def _has_twice(ids: list[bytes]) -> bool:
    return len(set(ids)) < len(ids)


def _is_foreign(block: object, target: Target) -> bool:
    if not isinstance(block, dict) or block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return signature == UNSIGNED or (target.is_vendor and signature in (None, ""))


def _fit_thinking(document: Document, target: Target) -> None:
    """With `thinking` enabled the turn that called the tools has to begin with thoughts: off for this request."""
    wish = document.get("thinking")
    if not isinstance(wish, dict) or wish.get("type") != "enabled":
        return
    turns = [message for message in _dicts(document.get("messages")) if message.get("role") == "assistant"]
    last = turns[-1].get("content") if turns else None
    first = last[0].get("type") if isinstance(last, list) and last and isinstance(last[0], dict) else "text"
    if (
        first in _THOUGHTS
        or not isinstance(last, list)
        or all(block.get("type") != "tool_use" for block in _dicts(last))
    ):
        return
    target.drop("thinking")
    document["thinking"] = {"type": "disabled"}
    management = document.get("context_management")
    if isinstance(management, dict) and isinstance(management.get("edits"), list):
        management["edits"] = [edit for edit in management["edits"] if not _is_of_thinking(edit)]


def _is_of_thinking(edit: object) -> bool:
    return isinstance(edit, dict) and "thinking" in str(edit.get("type"))


# Responses


def _responses_need_it(body: bytes, _: Target) -> bool:
    return _OWN.encode() in body or (b'"call_id"' in body and bool(_LONG_CALL_ID.search(body)))


def _clean_responses(document: Document, target: Target) -> None:
    if _is_own(document.get("previous_response_id")):
        refuse("`previous_response_id` is that of an answer of another provider", "previous_response_id")
    items = document.get("input")
    if isinstance(items, list):
        document["input"] = [
            item for index, given in enumerate(items) if (item := _clean_item(given, index, target)) is not None
        ]


def _clean_item(item: Any, index: int, target: Target) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(item, dict):
        return item
    if item.get("type") == "item_reference" and _is_own(item.get("id")):
        known = target.items.find(item["id"])
        if known is None:
            refuse(f"input[{index}]: the item is not one that the gateway still has", f"input[{index}].id")
        item = known
    if _is_own(item.get("id")):
        if item.get("type") == "reasoning":
            target.drop("reasoning")
            return None
        item = {name: value for name, value in item.items() if name != "id"}
    if len(word_at(item.get("call_id"))) > LONGEST and not is_portable(item["call_id"]):
        item = {**item, "call_id": portable_id(item["call_id"])}
    return item


def _is_own(item_id: object) -> bool:
    return isinstance(item_id, str) and _OWN in item_id


def _dicts(value: object) -> list[Document]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


_FINDERS: Final[dict[str, tuple[Callable[[bytes, Target], bool], Callable[[Document, Target], None]]]] = {
    "chat": (_chat_needs_it, _clean_chat),
    "messages": (_messages_need_it, _clean_messages),
    "responses": (_responses_need_it, _clean_responses),
}
