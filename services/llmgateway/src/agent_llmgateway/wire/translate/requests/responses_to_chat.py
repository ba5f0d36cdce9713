"""A responses request for a provider that speaks chat completions."""

from typing import Any, Final

import msgspec

from agent_llmgateway.wire.translate.base import Target, decode_request
from agent_llmgateway.wire.translate.requests.chatlimits import fit_chat
from agent_llmgateway.wire.translate.requests.responseschema import (
    RESPONSES_REQUESTS,
    JsonFormat,
    ResponsesRequest,
    SchemaFormat,
)
from agent_llmgateway.wire.translate.requests.responsetools import make_tools
from agent_llmgateway.wire.translate.requests.responseturns import make_turns

Document = dict[str, Any]
TO: Final = "chat completions"
_SAME: Final = ("temperature", "top_p", "parallel_tool_calls", "user", "stream")
_OPENAI_ONLY: Final = ("metadata", "safety_identifier", "prompt_cache_key", "service_tier")


def responses_to_chat(body: bytes, target: Target) -> bytes:
    """Raises NotCarriedError that names the field."""
    request = decode_request(RESPONSES_REQUESTS, body, target, TO)
    _note_hints(request, target)
    tools = make_tools(request, target)
    document: Document = {"model": target.model, "messages": make_turns(request, target)}
    for name in _SAME:
        if (value := getattr(request, name)) is not None:
            document[name] = value
    for name in _OPENAI_ONLY:
        if (value := getattr(request, name)) is not None:
            if target.kind == "openai":
                document[name] = value
            else:
                target.drop(name)
    if not tools:
        document.pop("parallel_tool_calls", None)
    if request.stream and target.options.get("streamUsage") is not False:
        document["stream_options"] = {"include_usage": True}
    if request.max_output_tokens is not None:
        document[target.limit_field] = request.max_output_tokens
    if request.reasoning is not None and request.reasoning.effort is not None:
        document["reasoning_effort"] = request.reasoning.effort
    document.update(tools)
    document.update(_format(request, target))
    return msgspec.json.encode(document if target.kind == "anthropic" else fit_chat(document, target))


def _note_hints(request: ResponsesRequest, target: Target) -> None:
    """What is left out and named: it is about keeping and showing, not about the answer."""
    given = {
        "store": request.store,
        "include": request.include,
        "truncation": request.truncation not in (None, "disabled"),
        "reasoning.summary": request.reasoning and (request.reasoning.summary or request.reasoning.generate_summary),
        "client_metadata": request.client_metadata,
        "top_logprobs": request.top_logprobs,
        "prompt_cache_retention": request.prompt_cache_retention,
        "prompt_cache_options": request.prompt_cache_options,
    }
    for name, value in given.items():
        if value:
            target.drop(name)


def _format(request: ResponsesRequest, target: Target) -> Document:
    document: Document = {}
    if request.text is None:
        return document
    if request.text.verbosity is not None:
        if target.kind == "openai":
            document["verbosity"] = request.text.verbosity
        else:
            target.drop("text.verbosity")
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
