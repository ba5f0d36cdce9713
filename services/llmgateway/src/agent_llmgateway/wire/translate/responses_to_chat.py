"""A responses request for a provider that speaks chat completions."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.dialects.base import has_content
from agent_llmgateway.wire.translate.base import TranslatedRequest, decode_strict, refuse
from agent_llmgateway.wire.translate.responseschema import (
    ITEMS,
    RESPONSES_REQUESTS,
    CallItem,
    FunctionTool,
    InputImage,
    InputText,
    Item,
    JsonFormat,
    MessageItem,
    NamedTool,
    OutputText,
    ReasoningItem,
    Refusal,
    ResponsesRequest,
    ResultItem,
    SchemaFormat,
)

Document = dict[str, Any]
TARGET: Final = "chat completions"
_SAME: Final = (
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
    "stream",
)


def responses_to_chat(body: bytes, model: str, options: Mapping[str, Any]) -> TranslatedRequest:
    """Raises NotCarriedError that names the field."""
    request = decode_strict(RESPONSES_REQUESTS, body, TARGET)
    dropped = _hints(request)
    document: Document = {"model": model, "messages": _turns(request, dropped)}
    for name in _SAME:
        if (value := getattr(request, name)) is not None:
            document[name] = value
    if request.stream:
        document["stream_options"] = {"include_usage": True}
    if request.max_output_tokens is not None:
        limit = "max_tokens" if options.get("type") == "openai-compatible" else "max_completion_tokens"
        document[limit] = request.max_output_tokens
    if request.reasoning is not None and request.reasoning.effort is not None:
        document["reasoning_effort"] = request.reasoning.effort
    document.update(_tools(request))
    document.update(_format(request))
    return TranslatedRequest(msgspec.json.encode(document), tuple(dict.fromkeys(dropped)))


def _hints(request: ResponsesRequest) -> list[str]:
    """What is left out and named: it is about keeping and showing, not about the answer."""
    given = {
        "store": request.store,
        "include": request.include,
        "truncation": request.truncation not in (None, "disabled"),
        "reasoning.summary": request.reasoning and (request.reasoning.summary or request.reasoning.generate_summary),
    }
    return [name for name, value in given.items() if value]


def _turns(request: ResponsesRequest, dropped: list[str]) -> list[Document]:
    turns: list[Document] = []
    if request.instructions:
        turns.append({"role": "system", "content": request.instructions})
    if isinstance(request.input, str):
        return [*turns, {"role": "user", "content": request.input}]
    for index, raw in enumerate(request.input):
        item = _read_item(bytes(raw), f"input[{index}]")
        if isinstance(item, CallItem):
            _add_call(turns, item)
        elif isinstance(item, ResultItem):
            turns.append({"role": "tool", "tool_call_id": item.call_id, "content": _text(item.output)})
        elif isinstance(item, ReasoningItem):
            dropped.append("reasoning")
        else:
            turns.append(_message(item, f"input[{index}].content", dropped))
    return turns


def _read_item(raw: bytes, where: str) -> Item:
    """An item; a turn may leave out its `type`."""
    try:
        item: Item = ITEMS.decode(raw)
    except msgspec.ValidationError as error:
        if "missing required field `type`" not in str(error):
            refuse(f"{where} cannot be carried to {TARGET}: {error}", where)
    except (msgspec.DecodeError, RecursionError) as error:
        refuse(f"{where}: {error}", where)
    else:
        return item
    document = msgspec.json.decode(raw)
    turn: Item = decode_strict(ITEMS, msgspec.json.encode({"type": "message", **document}), TARGET)
    return turn


def _add_call(turns: list[Document], item: CallItem) -> None:
    """Calls belong to the assistant's turn before them."""
    function = {"name": item.name, "arguments": item.arguments}
    call = {"id": item.call_id, "type": "function", "function": function}
    if turns and turns[-1]["role"] == "assistant":
        turns[-1].setdefault("tool_calls", []).append(call)
    else:
        turns.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _message(item: MessageItem, where: str, dropped: list[str]) -> Document:
    role = "system" if item.role == "developer" else item.role
    if isinstance(item.content, str):
        return {"role": role, "content": item.content}
    parts: list[Document] = []
    for index, part in enumerate(item.content):
        if isinstance(part, InputImage):
            if role != "user":
                refuse(f"{where}[{index}]: an image of the {role} cannot be carried to {TARGET}", where)
            if part.detail not in (None, "auto"):
                dropped.append("input_image.detail")
            parts.append({"type": "image_url", "image_url": {"url": part.image_url}})
        else:
            parts.append({"type": "text", "text": _text_of(part)})
    return {"role": role, "content": parts}


def _text_of(part: InputText | OutputText | Refusal) -> str:
    return part.refusal if isinstance(part, Refusal) else part.text


def _text(output: str | list[InputText]) -> str | list[Document]:
    return output if isinstance(output, str) else [{"type": "text", "text": part.text} for part in output]


def _tools(request: ResponsesRequest) -> Document:
    document: Document = {}
    if request.tools:
        document["tools"] = [_tool(tool) for tool in request.tools]
    choice = request.tool_choice
    if isinstance(choice, NamedTool):
        document["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice is not None and request.tools:
        document["tool_choice"] = choice
    return document


def _tool(tool: FunctionTool) -> Document:
    function: Document = {"name": tool.name}
    if has_content(tool.parameters):
        function["parameters"] = tool.parameters
    for name, value in (("description", tool.description), ("strict", tool.strict)):
        if value is not None:
            function[name] = value
    return {"type": "function", "function": function}


def _format(request: ResponsesRequest) -> Document:
    document: Document = {}
    if request.text is None:
        return document
    if request.text.verbosity is not None:
        document["verbosity"] = request.text.verbosity
    wanted = request.text.format
    if isinstance(wanted, JsonFormat):
        document["response_format"] = {"type": "json_object"}
    elif isinstance(wanted, SchemaFormat):
        schema: Document = {"name": wanted.name, "schema": wanted.schema}
        if wanted.strict is not None:
            schema["strict"] = wanted.strict
        if wanted.description is not None:
            schema["description"] = wanted.description
        document["response_format"] = {"type": "json_schema", "json_schema": schema}
    return document
