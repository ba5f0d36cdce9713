"""A messages request for a provider that speaks chat completions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.translate.base import TranslatedRequest, decode_strict, refuse
from agent_llmgateway.wire.translate.messageschema import (
    MESSAGES_REQUESTS,
    AnyChoice,
    AssistantMessage,
    AutoChoice,
    Base64Source,
    ImageBlock,
    MessagesRequest,
    NoChoice,
    TextBlock,
    ThinkingOff,
    ThinkingOn,
    ToolChoice,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
    UserMessage,
)
from agent_llmgateway.wire.translate.words import TOOL_ERROR, data_url, effort_of_budget

Document = dict[str, Any]
TARGET: Final = "chat completions"


def messages_to_chat(body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
    """Raises NotCarriedError that names the field."""
    request = decode_strict(MESSAGES_REQUESTS, body, TARGET)
    dropped: list[str] = []
    _note_hints(request, dropped)
    limit = "max_tokens" if options.get("type") == "openai-compatible" else "max_completion_tokens"
    document: Document = {"model": model, "messages": list(_turns(request, dropped)), limit: request.max_tokens}
    for name, value in (
        ("stop", request.stop_sequences),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("user", request.metadata.user_id if request.metadata else None),
        ("reasoning_effort", _effort(request)),
    ):
        if value is not None:
            document[name] = value
    if request.stream is not None:
        document["stream"] = request.stream
    if request.stream:
        document["stream_options"] = {"include_usage": True}
    if request.output_config is not None and request.output_config.format is not None:
        schema = {"name": "answer", "schema": request.output_config.format.schema, "strict": True}
        document["response_format"] = {"type": "json_schema", "json_schema": schema}
    document.update(_tools(request))
    return TranslatedRequest(msgspec.json.encode(document), tuple(dict.fromkeys(dropped)))


def _note_hints(request: MessagesRequest, dropped: list[str]) -> None:
    blocks = [b for m in request.messages if not isinstance(m.content, str) for b in m.content]
    blocks += request.system if isinstance(request.system, list) else []
    marked: Sequence[Any] = (request, *blocks, *(request.tools or ()))
    if any(getattr(each, "cache_control", None) is not None for each in marked):
        dropped.append("cache_control")
    if request.service_tier is not None:
        dropped.append("service_tier")
    if any(tool.eager_input_streaming is not None for tool in request.tools or ()):
        dropped.append("tools.eager_input_streaming")


def _turns(request: MessagesRequest, dropped: list[str]) -> Iterator[Document]:
    if request.system:
        yield {"role": "system", "content": _text_content(request.system)}
    for index, message in enumerate(request.messages):
        where = f"messages[{index}].content"
        if isinstance(message, UserMessage):
            yield from _user_turns(message, where)
        elif isinstance(message, AssistantMessage):
            yield _assistant_turn(message, where, dropped)
        else:
            yield {"role": "system", "content": _text_content(message.content)}


def _user_turns(message: UserMessage, where: str) -> Iterator[Document]:
    if isinstance(message.content, str):
        yield {"role": "user", "content": message.content}
        return
    parts: list[Document] = []
    for index, block in enumerate(message.content):
        if isinstance(block, ToolResultBlock):
            if parts:
                refuse(f"{where}[{index}]: a tool result behind other content cannot be carried to {TARGET}", where)
            yield _tool_turn(block)
        elif isinstance(block, ImageBlock):
            source = block.source
            url = data_url(source.media_type, source.data) if isinstance(source, Base64Source) else source.url
            parts.append({"type": "image_url", "image_url": {"url": url}})
        else:
            parts.append({"type": "text", "text": block.text})
    if parts or not message.content:
        yield {"role": "user", "content": parts}


def _tool_turn(block: ToolResultBlock) -> Document:
    content = "" if block.content is None else _text_content(block.content)
    if block.is_error:
        text = content if isinstance(content, str) else "\n".join(part["text"] for part in content)
        content = TOOL_ERROR + text
    return {"role": "tool", "tool_call_id": block.tool_use_id, "content": content}


def _assistant_turn(message: AssistantMessage, where: str, dropped: list[str]) -> Document:
    if isinstance(message.content, str):
        return {"role": "assistant", "content": message.content}
    parts: list[Document] = []
    calls: list[Document] = []
    for index, block in enumerate(message.content):
        if isinstance(block, ToolUseBlock):
            function = {"name": block.name, "arguments": bytes(block.input).decode()}
            calls.append({"id": block.id, "type": "function", "function": function})
        elif isinstance(block, TextBlock):
            if calls:
                refuse(f"{where}[{index}]: text behind a tool call cannot be carried to {TARGET}", where)
            parts.append({"type": "text", "text": block.text})
        else:
            dropped.append("thinking")
    turn: Document = {"role": "assistant", "content": parts or None}
    if calls:
        turn["tool_calls"] = calls
    return turn


def _text_content(content: str | list[TextBlock]) -> str | list[Document]:
    return content if isinstance(content, str) else [{"type": "text", "text": block.text} for block in content]


def _effort(request: MessagesRequest) -> str | None:
    if request.output_config is not None and request.output_config.effort is not None:
        return request.output_config.effort
    if isinstance(request.thinking, ThinkingOn):
        return effort_of_budget(request.thinking.budget_tokens)
    return "none" if isinstance(request.thinking, ThinkingOff) else None


def _tools(request: MessagesRequest) -> Document:
    document: Document = {}
    if request.tools:
        document["tools"] = [_tool(tool) for tool in request.tools]
    choice = request.tool_choice
    if isinstance(choice, ToolChoice):
        document["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif isinstance(choice, NoChoice):
        document["tool_choice"] = "none"
    elif isinstance(choice, AnyChoice):
        document["tool_choice"] = "required"
    elif isinstance(choice, AutoChoice):
        document["tool_choice"] = "auto"
    if choice is not None and not isinstance(choice, NoChoice) and choice.disable_parallel_tool_use:
        document["parallel_tool_calls"] = False
    return document


def _tool(tool: ToolDefinition) -> Document:
    function: Document = {"name": tool.name, "parameters": tool.input_schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}
