"""Messages as turns of a chat completion, where results of tools are turns of their own and hold only text."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from agent_llmgateway.wire.translate.base import Target, refuse
from agent_llmgateway.wire.translate.requests.messageschema import (
    AssistantMessage,
    Base64Source,
    ContentSource,
    DocumentBlock,
    ImageBlock,
    MessagesRequest,
    SearchResultBlock,
    TextBlock,
    TextSource,
    ToolResultBlock,
    ToolUseBlock,
    UserMessage,
)
from agent_llmgateway.wire.translate.toolids import portable_id
from agent_llmgateway.wire.translate.words import TOOL_ERROR, data_url

Document = dict[str, Any]
SEE_BELOW: Final = "(the picture or document that the tool returned follows in the next message)"
"""Stands in a result for what chat completions take from the user alone."""


def make_turns(request: MessagesRequest, target: Target) -> list[Document]:
    """Raises NotCarriedError."""
    turns: list[Document] = []
    if request.system:
        turns.append({"role": "system", "content": _text_content(request.system)})
    for index, message in enumerate(request.messages):
        where = f"messages[{index}].content"
        if isinstance(message, UserMessage):
            turns += _user_turns(message, where)
        elif isinstance(message, AssistantMessage):
            turns.append(_assistant_turn(message, target))
        else:
            turns.append({"role": "system", "content": _text_content(message.content)})
    return turns


def _user_turns(message: UserMessage, where: str) -> Iterator[Document]:
    """Results first, because they have to follow their calls; what is no text in them goes with the user's words."""
    if isinstance(message.content, str):
        yield {"role": "user", "content": message.content}
        return
    parts: list[Document] = []
    for index, block in enumerate(message.content):
        if isinstance(block, ToolResultBlock):
            yield _tool_turn(block, f"{where}[{index}]", parts)
    for index, block in enumerate(message.content):
        if not isinstance(block, ToolResultBlock):
            parts += _parts(block, f"{where}[{index}]")
    if parts or not message.content:
        yield {"role": "user", "content": parts or ""}


def _tool_turn(block: ToolResultBlock, where: str, beside: list[Document]) -> Document:
    content = block.content or ""
    texts: list[Document] = []
    for index, each in enumerate(() if isinstance(content, str) else content):
        if isinstance(each, TextBlock):
            texts.append({"type": "text", "text": each.text})
        elif isinstance(each, SearchResultBlock):
            texts += _parts(each, where)
        else:
            beside += _parts(each, f"{where}.content[{index}]")
    said: str | list[Document] = content if isinstance(content, str) else texts
    if not isinstance(content, str) and any(isinstance(each, ImageBlock | DocumentBlock) for each in content):
        said = [*texts, {"type": "text", "text": SEE_BELOW}]
    if block.is_error:
        said = TOOL_ERROR + (said if isinstance(said, str) else "\n".join(part["text"] for part in said))
    return {"role": "tool", "tool_call_id": portable_id(block.tool_use_id), "content": said}


def _parts(block: TextBlock | ImageBlock | DocumentBlock | SearchResultBlock, where: str) -> list[Document]:
    if isinstance(block, TextBlock):
        return [{"type": "text", "text": block.text}]
    if isinstance(block, SearchResultBlock):
        found = "\n".join(each.text for each in block.content)
        return [{"type": "text", "text": f"{block.title} ({block.source}):\n{found}"}]
    source = block.source
    if isinstance(block, ImageBlock) and not isinstance(source, TextSource | ContentSource):
        url = data_url(source.media_type, source.data) if isinstance(source, Base64Source) else source.url
        return [{"type": "image_url", "image_url": {"url": url}}]
    if isinstance(source, TextSource):
        return [{"type": "text", "text": source.data}]
    if isinstance(source, ContentSource):
        texts = [source.content] if isinstance(source.content, str) else [each.text for each in source.content]
        return [{"type": "text", "text": text} for text in texts]
    if not isinstance(source, Base64Source):
        refuse(f"{where}: a document by its address cannot be carried to chat completions", f"{where}.source")
    name = (block.title if isinstance(block, DocumentBlock) else None) or "document.pdf"
    return [{"type": "file", "file": {"filename": name, "file_data": data_url(source.media_type, source.data)}}]


def _assistant_turn(message: AssistantMessage, target: Target) -> Document:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    texts: list[Document] = []
    calls: list[Document] = []
    for block in message.content:
        if isinstance(block, ToolUseBlock):
            function = {"name": block.name, "arguments": bytes(block.input).decode()}
            calls.append({"id": portable_id(block.id), "type": "function", "function": function})
        elif isinstance(block, TextBlock):
            texts.append({"type": "text", "text": block.text})
        else:
            target.drop("thinking")
    turn: Document = {"role": "assistant", "content": texts or (None if calls else "")}
    if calls:
        turn["tool_calls"] = calls
    return turn


def _text_content(content: str | Sequence[TextBlock]) -> str | list[Document]:
    return content if isinstance(content, str) else [{"type": "text", "text": block.text} for block in content]
