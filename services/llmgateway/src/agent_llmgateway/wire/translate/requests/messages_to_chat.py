"""A messages request for a provider that speaks chat completions."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agent_llmgateway.wire.lenient import is_empty
from agent_llmgateway.wire.translate.base import Target, decode_request, refuse
from agent_llmgateway.wire.translate.requests.answerschema import is_strict
from agent_llmgateway.wire.translate.requests.chatlimits import fit_chat
from agent_llmgateway.wire.translate.requests.messageschema import (
    MESSAGES_REQUESTS,
    AnyChoice,
    AutoChoice,
    MessagesRequest,
    NoChoice,
    ThinkingOff,
    ThinkingOn,
    ToolChoice,
    ToolDefinition,
)
from agent_llmgateway.wire.translate.requests.messageturns import make_turns
from agent_llmgateway.wire.translate.words import effort_of_budget

Document = dict[str, Any]
TO: Final = "chat completions"
_REFUSED: Final = ("top_k", "container", "mcp_servers")


def messages_to_chat(body: bytes, target: Target) -> bytes:
    """Raises NotCarriedError that names the field."""
    request = decode_request(MESSAGES_REQUESTS, body, target, TO)
    for name in _REFUSED:
        if not is_empty(getattr(request, name)):
            refuse(f"`{name}` cannot be carried to {TO}", name)
    _note_hints(request, target)
    document: Document = {
        "model": target.model,
        "messages": make_turns(request, target),
        target.limit_field: request.max_tokens,
    }
    for name, value in (
        ("stop", request.stop_sequences),
        ("temperature", request.temperature),
        ("top_p", request.top_p),
        ("user", request.metadata.user_id if request.metadata else None),
        ("reasoning_effort", _effort(request)),
        ("stream", request.stream),
    ):
        if value is not None:
            document[name] = value
    if request.stream and target.options.get("streamUsage") is not False:
        document["stream_options"] = {"include_usage": True}
    form = request.output_config.format if request.output_config is not None else None
    if (form := form or request.output_format) is not None:
        schema = {"name": "answer", "schema": form.schema, "strict": is_strict(form.schema)}
        document["response_format"] = {"type": "json_schema", "json_schema": schema}
    document.update(_tools(request))
    return msgspec.json.encode(fit_chat(document, target))


def _note_hints(request: MessagesRequest, target: Target) -> None:
    blocks = [b for m in request.messages if not isinstance(m.content, str) for b in m.content]
    blocks += request.system if isinstance(request.system, list) else []
    marked: Sequence[Any] = (request, *blocks, *(request.tools or ()))
    if any(getattr(each, "cache_control", None) is not None for each in marked):
        target.drop("cache_control")
    for name in ("service_tier", "context_management"):
        if getattr(request, name) is not None:
            target.drop(name)
    if any(tool.eager_input_streaming is not None for tool in request.tools or ()):
        target.drop("tools.eager_input_streaming")


def _effort(request: MessagesRequest) -> str | None:
    if request.output_config is not None and request.output_config.effort is not None:
        return request.output_config.effort
    if isinstance(request.thinking, ThinkingOn):
        return effort_of_budget(request.thinking.budget_tokens)
    return "none" if isinstance(request.thinking, ThinkingOff) else None


def _tools(request: MessagesRequest) -> Document:
    if not request.tools:
        return {}
    document: Document = {"tools": [_tool(tool) for tool in request.tools]}
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
        function["strict"] = tool.strict and is_strict(tool.input_schema)
    return {"type": "function", "function": function}
