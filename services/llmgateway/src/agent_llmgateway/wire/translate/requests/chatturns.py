"""Turns of a chat completion as messages, which are stricter: the two sides, results first, and nothing empty."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from agent_llmgateway.wire.translate.base import Target, refuse
from agent_llmgateway.wire.translate.requests.chatschema import (
    AssistantTurn,
    FilePart,
    ImagePart,
    RefusalPart,
    TextPart,
    ToolTurn,
    Turn,
    UserTurn,
)
from agent_llmgateway.wire.translate.toolids import CallIds
from agent_llmgateway.wire.translate.words import TOOL_ERROR, image_source, parse_arguments

Document = dict[str, Any]
NOTHING: Final = "(empty)"
"""What the API refuses to have empty gets this: a conversation of nothing but empty turns, a tool's error."""
Part = TextPart | ImagePart | FilePart | RefusalPart


def make_messages(turns: Sequence[Turn], offset: int, target: Target) -> list[Document]:
    """The messages for `turns`, whose first one is number `offset` of the request. Raises NotCarriedError."""
    messages: list[Document] = []
    ids = CallIds()
    for index, turn in enumerate(turns, start=offset):
        where = f"messages[{index}]"
        if isinstance(turn, AssistantTurn):
            _add(messages, "assistant", list(_assistant_blocks(turn, target, ids)))
        elif isinstance(turn, ToolTurn):
            _add(messages, "user", [_tool_result(turn, where, target, ids)])
        elif isinstance(turn, UserTurn):
            _add(messages, "user", _blocks(turn.content, f"{where}.content", target))
        else:  # instructions in the middle are words of the other side
            _add(messages, "user", text_blocks(turn.content))
    _order_results(messages)
    if messages and messages[-1]["role"] == "assistant":
        _strip_end(messages[-1]["content"])
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [{"type": "text", "text": NOTHING}]})
    for message in messages:
        message["content"] = _short(message["content"])
    return messages


def text_blocks(content: object) -> list[Document]:
    """The texts of `content`, without empty ones, which the API refuses."""
    if isinstance(content, str):
        texts = [content]
    else:
        parts = content if isinstance(content, list) else []
        texts = [part.refusal if isinstance(part, RefusalPart) else part.text for part in parts]
    return [{"type": "text", "text": text} for text in texts if text.strip()]


def _add(messages: list[Document], role: str, blocks: list[Document]) -> None:
    """One message for turns of one side that follow each other; none for an empty one."""
    if not blocks:
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"] += blocks
    else:
        messages.append({"role": role, "content": blocks})


def _order_results(messages: list[Document]) -> None:
    """Results of tools stand before everything else that the user says."""
    for message in messages:
        message["content"].sort(key=lambda block: block["type"] != "tool_result")


def _strip_end(blocks: list[Document]) -> None:
    """The API refuses white space at the end of what the model is to go on with."""
    if blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()


def _short(blocks: list[Document]) -> str | list[Document]:
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0]["type"] == "text" else blocks


def _tool_result(turn: ToolTurn, where: str, target: Target, ids: CallIds) -> Document:
    result: Document = {"type": "tool_result", "tool_use_id": ids.of_result(turn.tool_call_id)}
    content = turn.content
    if isinstance(content, str):
        if content.startswith(TOOL_ERROR):
            result["is_error"] = True
            content = content.removeprefix(TOOL_ERROR)
            content = content if content.strip() else NOTHING
        result["content"] = content
    else:
        result["content"] = _blocks(content, f"{where}.content", target)
    return result


def _blocks(content: str | Sequence[Part], where: str, target: Target) -> list[Document]:
    if isinstance(content, str):
        return text_blocks(content)
    return [block for index, part in enumerate(content) for block in _part(part, f"{where}[{index}]", target)]


def _part(part: Part, where: str, target: Target) -> list[Document]:
    if isinstance(part, ImagePart):
        if part.image_url.detail not in (None, "auto"):
            target.drop("image_url.detail")
        return [{"type": "image", "source": image_source(part.image_url.url, f"{where}.image_url.url")}]
    if isinstance(part, FilePart):
        return [_document_block(part, where)]
    return text_blocks([part])


def _document_block(part: FilePart, where: str) -> Document:
    data = part.file.file_data or ""
    head, comma, content = data.removeprefix("data:").partition(",")
    media_type = head.partition(";")[0]
    if not data.startswith("data:") or not comma or media_type != "application/pdf":
        refuse(f"{where}: only a PDF as a base64 data URL can be carried to the messages API", f"{where}.file")
    block: Document = {
        "type": "document",
        "source": {"type": "base64", "media_type": media_type, "data": content},
    }
    return {**block, "title": part.file.filename} if part.file.filename else block


def _assistant_blocks(turn: AssistantTurn, target: Target, ids: CallIds) -> Iterator[Document]:
    if turn.reasoning_content:
        target.drop("reasoning_content")
    yield from text_blocks(turn.content or turn.refusal or "")
    for call in turn.tool_calls or ():
        arguments = parse_arguments(call.function.arguments, target)
        yield {"type": "tool_use", "id": ids.of_call(call.id), "name": call.function.name, "input": arguments}
