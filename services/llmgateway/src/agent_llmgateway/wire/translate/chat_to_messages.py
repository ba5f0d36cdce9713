"""A chat completion request for a provider that speaks messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.dialects.base import has_content
from agent_llmgateway.wire.translate.base import TranslatedRequest, decode_strict, refuse
from agent_llmgateway.wire.translate.chatschema import (
    CHAT_REQUESTS,
    HINTS,
    NEUTRAL,
    AssistantTurn,
    ChatRequest,
    DeveloperTurn,
    ImagePart,
    NamedTool,
    SchemaFormat,
    SystemTurn,
    TextPart,
    Tool,
    ToolTurn,
    Turn,
    UserTurn,
)
from agent_llmgateway.wire.translate.words import TOOL_ERROR, image_source, parse_arguments

Document = dict[str, Any]
TARGET: Final = "the messages API"
USUAL_MAX_TOKENS: Final = 8192
"""The messages API needs a limit; `options.maxTokens` of the provider sets another."""
_CHOICES: Final = {"none": "none", "auto": "auto", "required": "any"}


def chat_to_messages(body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
    """Raises NotCarriedError that names the field."""
    request = decode_strict(CHAT_REQUESTS, body, TARGET)
    for name, neutral in NEUTRAL.items():
        if (value := getattr(request, name)) is not None and value not in neutral:
            refuse(f"`{name}` cannot be carried to {TARGET}", name)
    dropped = [name for name in HINTS if getattr(request, name) is not None]
    system, turns = _split_system(request.messages)
    document: Document = {
        "model": model,
        "max_tokens": request.max_completion_tokens or request.max_tokens or options.get("maxTokens", USUAL_MAX_TOKENS),
    }
    if system:
        document["system"] = system
    document["messages"] = list(_messages(turns, len(request.messages) - len(turns), dropped))
    document.update(_sampling(request))
    document.update(_output(request))
    document.update(_tools(request))
    return TranslatedRequest(msgspec.json.encode(document), tuple(dict.fromkeys(dropped)))


def _split_system(turns: Sequence[Turn]) -> tuple[str | list[Document], Sequence[Turn]]:
    """Instructions at the beginning have a field of their own; later ones stay where they are."""
    count = next((i for i, turn in enumerate(turns) if not isinstance(turn, SystemTurn | DeveloperTurn)), len(turns))
    heads = [turn.content for turn in turns[:count] if isinstance(turn, SystemTurn | DeveloperTurn)]
    if len(heads) == 1 and isinstance(heads[0], str):
        return heads[0], turns[count:]
    return [block for head in heads for block in _text_blocks(head)], turns[count:]


def _messages(turns: Sequence[Turn], offset: int, dropped: list[str]) -> Iterator[Document]:
    results: list[Document] = []
    for index, turn in enumerate(turns, start=offset):
        if isinstance(turn, ToolTurn):
            results.append(_tool_result(turn))
            continue
        if results:
            yield {"role": "user", "content": results}
            results = []
        if isinstance(turn, UserTurn):
            yield {"role": "user", "content": _user_content(turn, f"messages[{index}].content", dropped)}
        elif isinstance(turn, AssistantTurn):
            yield {"role": "assistant", "content": _assistant_content(turn, f"messages[{index}]", dropped)}
        else:
            yield {"role": "system", "content": _text_content(turn.content)}
    if results:
        yield {"role": "user", "content": results}


def _tool_result(turn: ToolTurn) -> Document:
    result: Document = {"type": "tool_result", "tool_use_id": turn.tool_call_id}
    content = turn.content
    if isinstance(content, str) and content.startswith(TOOL_ERROR):
        result["is_error"] = True
        content = content.removeprefix(TOOL_ERROR)
    result["content"] = _text_content(content)
    return result


def _user_content(turn: UserTurn, where: str, dropped: list[str]) -> str | list[Document]:
    if isinstance(turn.content, str):
        return turn.content
    blocks: list[Document] = []
    for index, part in enumerate(turn.content):
        if isinstance(part, ImagePart):
            if part.image_url.detail not in (None, "auto"):
                dropped.append("image_url.detail")
            source = image_source(part.image_url.url, f"{where}[{index}].image_url.url")
            blocks.append({"type": "image", "source": source})
        else:
            blocks.append({"type": "text", "text": part.text})
    return blocks


def _assistant_content(turn: AssistantTurn, where: str, dropped: list[str]) -> str | list[Document]:
    if turn.reasoning_content:
        dropped.append("reasoning_content")
    text = turn.content or turn.refusal
    if not turn.tool_calls:
        return _text_content(text or "")
    blocks = _text_blocks(text) if text else []
    for index, call in enumerate(turn.tool_calls):
        arguments = parse_arguments(call.function.arguments, f"{where}.tool_calls[{index}].function.arguments")
        blocks.append({"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments})
    return blocks


def _text_content(content: str | list[TextPart]) -> str | list[Document]:
    return content if isinstance(content, str) else _text_blocks(content)


def _text_blocks(content: str | list[TextPart]) -> list[Document]:
    texts = [content] if isinstance(content, str) else [part.text for part in content]
    return [{"type": "text", "text": text} for text in texts]


def _sampling(request: ChatRequest) -> Document:
    document: Document = {}
    if request.temperature is not None:
        if request.temperature > 1:
            refuse(f"`temperature` over 1 cannot be carried to {TARGET}", "temperature")
        document["temperature"] = request.temperature
    if request.top_p is not None:
        document["top_p"] = request.top_p
    if request.stop:
        document["stop_sequences"] = [request.stop] if isinstance(request.stop, str) else request.stop
    if request.stream is not None:
        document["stream"] = request.stream
    if request.user is not None:
        document["metadata"] = {"user_id": request.user}
    return document


def _output(request: ChatRequest) -> Document:
    document: Document = {}
    config: Document = {}
    if request.reasoning_effort == "none":
        document["thinking"] = {"type": "disabled"}
    elif request.reasoning_effort is not None:
        config["effort"] = request.reasoning_effort
    if isinstance(request.response_format, SchemaFormat):
        config["format"] = {"type": "json_schema", "schema": request.response_format.json_schema.schema}
    return {**document, "output_config": config} if config else document


def _tools(request: ChatRequest) -> Document:
    document: Document = {}
    if request.tools:
        document["tools"] = [_tool(tool) for tool in request.tools]
    choice = request.tool_choice
    chosen: Document | None = None
    if isinstance(choice, NamedTool):
        chosen = {"type": "tool", "name": choice.function.name}
    elif choice is not None:
        chosen = {"type": _CHOICES[choice]}
    if request.parallel_tool_calls is False and request.tools and choice != "none":
        chosen = {**(chosen or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {**document, "tool_choice": chosen} if chosen else document


def _tool(tool: Tool) -> Document:
    function = tool.function
    empty = msgspec.Raw(b'{"type":"object","properties":{}}')
    given = has_content(function.parameters)
    document: Document = {"name": function.name, "input_schema": function.parameters if given else empty}
    if function.description is not None:
        document["description"] = function.description
    if function.strict is not None:
        document["strict"] = function.strict
    return document
