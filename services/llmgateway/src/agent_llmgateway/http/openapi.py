"""The gateway's own OpenAPI document: what it reads of a request, what it answers, and how it says no.

The APIs themselves are their vendors': a request's other fields go through unread, so they are not described here.
"""

from typing import Any, Final

from agent_llmgateway.http.problems import ATTEMPTS, DELIVERY, DROPPED, OVERHEAD, PROVIDER
from agent_llmgateway.wire.dialects import DIALECTS

Document = dict[str, Any]

_FIELDS: Final[Document] = {
    "model": {
        "type": "string",
        "minLength": 1,
        "description": "An alias, a model, provider/model, `auto` or `default`.",
    },
    "stream": {"type": ["boolean", "null"]},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": 9_007_199_254_740_991},
}
_LIMIT: Final[Document] = _FIELDS["max_tokens"]
_TURNS: Final[Document] = {"type": "array", "items": {"type": "object"}}
_BODIES: Final[dict[str, tuple[Document, list[str]]]] = {
    "chat": ({**_FIELDS, "max_completion_tokens": _LIMIT, "messages": _TURNS}, ["model", "messages"]),
    "responses": ({**_FIELDS, "max_output_tokens": _LIMIT, "input": {"type": ["string", "array"]}}, ["model", "input"]),
    "embeddings": ({"model": _FIELDS["model"], "input": {"type": ["string", "array"]}}, ["model", "input"]),
    "messages": ({**_FIELDS, "messages": _TURNS}, ["model", "messages", "max_tokens"]),
    "count_tokens": ({"model": _FIELDS["model"], "messages": _TURNS}, ["model", "messages"]),
    "input_tokens": ({"model": _FIELDS["model"], "input": {"type": ["string", "array"]}}, ["model"]),
}
_SUMMARIES: Final = {
    "chat": "OpenAI chat completions",
    "responses": "OpenAI responses",
    "embeddings": "OpenAI embeddings",
    "messages": "Anthropic messages",
    "count_tokens": "Anthropic's count of tokens",
    "input_tokens": "OpenAI's count of tokens",
}
_ANSWERS: Final[dict[str, Document]] = {
    "chat": {"type": "object", "required": ["choices", "model"]},
    "responses": {"type": "object", "required": ["output", "status", "model"]},
    "embeddings": {"type": "object", "required": ["data", "model"]},
    "messages": {"type": "object", "required": ["content", "stop_reason", "model"]},
    "count_tokens": {"type": "object", "required": ["input_tokens"]},
    "input_tokens": {"type": "object", "required": ["input_tokens", "object"]},
}
_REFUSALS: Final = {
    "400": "Not a request of this API, or a named field that no route's provider has a place for (`not_carried`).",
    "404": "No alias, provider or model of that name (`model_not_found`).",
    "405": "Another method than the path has.",
    "413": "Larger than limits.bodyBytes (`request_too_large`).",
    "429": "The agent's budget is spent (`budget_exceeded`), or every route is rate limited.",
    "502": "No route answered; the first one's error, with every attempt.",
    "503": "Every route is busy or away; retry-after is the shortest wait.",
}


def make_openapi() -> Document:
    """OpenAPI 3.1."""
    paths: Document = {dialect.path: {"post": _operation(name)} for name, dialect in DIALECTS.items()}
    paths["/v1/models"] = {"get": _models_operation("listModels", "Every name that a request may use")}
    named = _models_operation("getModel", "One of these names")
    named["parameters"] = [
        {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    ]
    paths["/v1/models/{model}"] = {"get": named}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "agent-llmgateway",
            "version": "1",
            "description": "Every model behind one address. Requests and answers are those of OpenAI and Anthropic; "
            "what is described here is what the gateway itself reads, adds and refuses.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8801"}],
        "paths": paths,
        "components": {"schemas": {"OpenAIError": _openai_error(), "AnthropicError": _anthropic_error()}},
    }


def _operation(name: str) -> Document:
    fields, required = _BODIES[name]
    family = next(dialect.family for known, dialect in DIALECTS.items() if known == name)
    answer: Document = {"application/json": {"schema": _ANSWERS[name]}}
    if "stream" in fields:
        answer["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "operationId": name,
        "summary": _SUMMARIES[name],
        "parameters": [
            {
                "name": DELIVERY,
                "in": "header",
                "schema": {"type": "string", "enum": ["live", "complete"]},
                "description": "complete: a stream is sent once its answer is whole, so that a broken one fails over.",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object", "properties": fields, "required": required}}},
        },
        "responses": {
            "200": {"description": "An answer.", "content": answer, "headers": _headers()},
            **{status: _error_response(text, family) for status, text in _REFUSALS.items()},
            "4XX": _error_response("What a provider refused; another would refuse it too.", family),
        },
    }


def _headers() -> Document:
    texts = {
        PROVIDER: "Name of the provider that answered.",
        ATTEMPTS: "Requests that were sent to providers for this answer.",
        OVERHEAD: "Milliseconds to the first byte that no provider took.",
        DROPPED: "Hints of the request that the provider's API has no word for.",
    }
    return {name: {"description": text, "schema": {"type": "string"}} for name, text in texts.items()}


def _error_response(text: str, family: str) -> Document:
    name = "AnthropicError" if family == "anthropic" else "OpenAIError"
    return {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }


def _models_operation(operation_id: str, summary: str) -> Document:
    schema = {"type": "object"}
    return {
        "operationId": operation_id,
        "summary": f"{summary}; in Anthropic's form when the request has anthropic-version.",
        "responses": {
            "200": {"description": "Names.", "content": {"application/json": {"schema": schema}}},
            "404": _error_response("No such name.", "openai"),
            "405": _error_response("Another method than GET.", "openai"),
        },
    }


def _attempts() -> Document:
    attempt = {name: {"type": "string"} for name in ("provider", "model", "outcome", "message")}
    return {"type": "array", "items": {"type": "object", "properties": {**attempt, "status": {"type": "integer"}}}}


def _openai_error() -> Document:
    text_or_null = {"type": ["string", "null"]}
    error = {
        "type": "object",
        "required": ["message", "type"],
        "properties": {
            "message": {"type": "string"},
            "type": {"type": "string"},
            "param": text_or_null,
            "code": text_or_null,
            "attempts": _attempts(),
        },
    }
    return {"type": "object", "required": ["error"], "properties": {"error": error}}


def _anthropic_error() -> Document:
    error = {
        "type": "object",
        "required": ["message", "type"],
        "properties": {"type": {"type": "string"}, "message": {"type": "string"}, "attempts": _attempts()},
    }
    properties = {"type": {"const": "error"}, "error": error}
    return {"type": "object", "required": ["type", "error"], "properties": properties}
