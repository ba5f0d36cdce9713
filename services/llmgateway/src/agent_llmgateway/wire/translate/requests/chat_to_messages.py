"""A chat completion request for a provider that speaks messages."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.dialects.base import has_content
from agent_llmgateway.wire.translate.base import Target, decode_request, refuse
from agent_llmgateway.wire.translate.requests.answerschema import close_schema
from agent_llmgateway.wire.translate.requests.chatschema import (
    CHAT_REQUESTS,
    HINTS,
    NEUTRAL,
    AllowedChoice,
    AssistantTurn,
    ChatRequest,
    DeveloperTurn,
    JsonFormat,
    NamedTool,
    SchemaFormat,
    SystemTurn,
    Tool,
    Turn,
)
from agent_llmgateway.wire.translate.requests.chatturns import make_messages, text_blocks

Document = dict[str, Any]
TO: Final = "the messages API"
USUAL_MAX_TOKENS: Final = 8192
"""The messages API needs a limit; `maxTokens` in the provider's config sets another."""
LONGEST_USER_ID: Final = 256
JSON_ONLY: Final = "Answer with one JSON object and nothing else: no introduction, no code fence."
"""For `json_object`, which the messages API has no field for."""
_CHOICES: Final = {"none": "none", "auto": "auto", "required": "any"}


def chat_to_messages(body: bytes, target: Target) -> bytes:
    """Raises NotCarriedError that names the field."""
    request = decode_request(CHAT_REQUESTS, body, target, TO)
    _check_fields(request, target)
    system, turns = _split_system(request.messages)
    document: Document = {"model": target.model, "max_tokens": _limit(request, target)}
    if isinstance(request.response_format, JsonFormat):
        target.drop("response_format")
        system.append({"type": "text", "text": JSON_ONLY})
    if system:
        document["system"] = system[0]["text"] if len(system) == 1 else system
    document["messages"] = make_messages(turns, len(request.messages) - len(turns), target)
    document.update(_sampling(request, target))
    document.update(_output(request, target))
    document.update(_tools(request))
    return msgspec.json.encode(document)


def _check_fields(request: ChatRequest, target: Target) -> None:
    for name, neutral in NEUTRAL.items():
        if (value := getattr(request, name)) is not None and value not in neutral:
            refuse(f"`{name}` cannot be carried to {TO}", name)
    for name in HINTS:
        if getattr(request, name) not in (None, False):
            target.drop(name)


def _limit(request: ChatRequest, target: Target) -> int:
    usual = min(target.options.get("maxTokens", USUAL_MAX_TOKENS), target.facts.max_output or USUAL_MAX_TOKENS)
    limit = request.max_completion_tokens or request.max_tokens or usual
    most = target.facts.max_output
    if most is not None and limit > most:
        target.drop("max_tokens")
        return most
    return limit


def _split_system(turns: Sequence[Turn]) -> tuple[list[Document], Sequence[Turn]]:
    """Instructions at the beginning have a field of their own."""
    count = next((i for i, turn in enumerate(turns) if not isinstance(turn, SystemTurn | DeveloperTurn)), len(turns))
    heads = [turn.content for turn in turns[:count] if isinstance(turn, SystemTurn | DeveloperTurn)]
    return [block for head in heads for block in text_blocks(head)], turns[count:]


def _sampling(request: ChatRequest, target: Target) -> Document:
    document: Document = {}
    if request.temperature is not None:
        if request.temperature > 1:
            target.drop("temperature")
        document["temperature"] = min(request.temperature, 1)
    if request.top_p is not None:
        if "temperature" in document:  # current models take one of them
            target.drop("top_p")
        else:
            document["top_p"] = request.top_p
    words = [request.stop] if isinstance(request.stop, str) else request.stop or []
    if any(not word.strip() for word in words):  # the API refuses those of white space
        target.drop("stop")
    if kept := [word for word in words if word.strip()]:
        document["stop_sequences"] = kept
    if request.stream is not None:
        document["stream"] = request.stream
    if request.user is not None:
        if len(request.user) <= LONGEST_USER_ID:
            document["metadata"] = {"user_id": request.user}
        else:
            target.drop("user")
    return document


def _output(request: ChatRequest, target: Target) -> Document:
    config: Document = {}
    if request.reasoning_effort not in (None, "none"):
        effort = target.facts.nearest_effort(str(request.reasoning_effort))
        if effort != request.reasoning_effort:
            target.drop("reasoning_effort")
        if effort is not None:
            config["effort"] = effort
    if isinstance(request.response_format, SchemaFormat):
        config["format"] = {
            "type": "json_schema",
            "schema": close_schema(request.response_format.json_schema.schema, target),
        }
    return {"output_config": config} if config else {}


def _tools(request: ChatRequest) -> Document:
    tools = request.tools or []
    choice = request.tool_choice
    if isinstance(choice, AllowedChoice):
        names = {tool.function.name for tool in choice.allowed_tools.tools}
        tools = [tool for tool in tools if tool.function.name in names]
        choice = choice.allowed_tools.mode
    if not tools:
        return _tools_of_the_past(request)
    document: Document = {"tools": [_tool(tool) for tool in tools]}
    chosen: Document | None = None
    if isinstance(choice, NamedTool):
        chosen = {"type": "tool", "name": choice.function.name}
    elif choice is not None:
        chosen = {"type": _CHOICES[choice]}
    if request.parallel_tool_calls is False and choice != "none":
        chosen = {**(chosen or {"type": "auto"}), "disable_parallel_tool_use": True}
    return {**document, "tool_choice": chosen} if chosen else document


def _tools_of_the_past(request: ChatRequest) -> Document:
    """The API wants tools that calls are of, also where no further one may be made."""
    calls = [call for turn in request.messages if isinstance(turn, AssistantTurn) for call in turn.tool_calls or ()]
    names = dict.fromkeys(call.function.name for call in calls)
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in names]
    return {"tools": tools, "tool_choice": {"type": "none"}} if tools else {}


def _tool(tool: Tool) -> Document:
    function = tool.function
    empty = msgspec.Raw(b'{"type":"object","properties":{}}')
    given = has_content(function.parameters)
    document: Document = {"name": function.name, "input_schema": function.parameters if given else empty}
    if function.description:
        document["description"] = function.description
    if function.strict is not None:
        document["strict"] = function.strict
    return document
