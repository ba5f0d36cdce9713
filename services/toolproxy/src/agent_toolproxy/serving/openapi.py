"""The published document of the REST API: `python -m agent_toolproxy.serving.openapi` prints it.

The schemas are those of the models that check the bodies, so the document cannot say anything else than the service.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from agent_toolproxy import __version__
from agent_toolproxy.memory.notes import MOST_KEYS
from agent_toolproxy.serving.models import (
    ErrorBody,
    MemoryItem,
    MemoryKeys,
    MemoryValue,
    RunRequest,
    RunResult,
    ToolList,
    ToolView,
)

Json = dict[str, Any]
_MODELS: Final[tuple[type[BaseModel], ...]] = (
    ToolList,
    ToolView,
    RunRequest,
    RunResult,
    MemoryValue,
    MemoryItem,
    MemoryKeys,
    ErrorBody,
)
_ERRORS: Final[Mapping[int, str]] = {
    400: "What was given does not fit: `invalid_arguments`.",
    403: "Denied by a rule (`call_denied`) or a person (`approval_denied`); the tool's definition changed and is not "
    "approved: `tool_blocked`; or a foreign Origin: `origin_refused`.",
    404: "There is no such tool (`unknown_tool`) or key (`unknown_key`).",
    413: "The body is larger than 4 MiB.",
    421: "The Host header is not one that is served: `host_refused`.",
    409: "A person has to approve the call first: `approval_pending`; call again with the same arguments.",
    429: "No place became free in time (`tool_busy`), or it was called too often (`rate_exceeded`).",
    502: "An MCP server refused the call: `upstream_rejected`.",
    503: "Not ready: `tool_not_ready`, `memory_unavailable`.",
}


def build_document() -> Json:
    """The OpenAPI 3.1 document."""
    definitions = models_json_schema(
        [(model, "validation") for model in _MODELS], by_alias=True, ref_template="#/components/schemas/{model}"
    )[1]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Agentberth tool proxy",
            "version": __version__,
            "description": "The agent's tools over REST. The same tools are on /mcp. It listens on loopback only.",
        },
        "servers": [{"url": "http://127.0.0.1:8802"}],
        "paths": _paths(),
        "components": {"schemas": definitions["$defs"]},
    }


def _paths() -> Json:
    name = _path_parameter("name", "Name of a tool, as listed.", 200)
    key = _path_parameter("key", "The key; it may hold slashes.", 512)
    return {
        "/v1/tools": {"get": _operation("listTools", "List all tools.", 200, ToolList)},
        "/v1/tools/{name}": {"get": _operation("getTool", "One tool.", 200, ToolView, 404), "parameters": [name]},
        "/v1/tools/{name}:run": {
            "post": _operation(
                "runTool", _RUN_TEXT, 200, RunResult, 400, 403, 404, 409, 413, 429, 502, 503, body=RunRequest
            ),
            "parameters": [name],
        },
        "/v1/memory": {
            "get": {
                **_operation("listMemory", "List keys.", 200, MemoryKeys, 400, 503),
                "parameters": [
                    {"name": "prefix", "in": "query", "schema": {"type": "string", "maxLength": 512}},
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MOST_KEYS}},
                ],
            }
        },
        "/v1/memory/{key}": {
            "get": _operation("getMemory", "What is remembered.", 200, MemoryItem, 400, 404, 503),
            "put": _operation("putMemory", "Remember.", 204, None, 400, 413, 503, body=MemoryValue),
            "delete": _operation("deleteMemory", "Forget.", 204, None, 400, 404, 503),
            "parameters": [key],
        },
    }


_RUN_TEXT: Final = (
    "Run a tool. With `Accept: text/event-stream` the answer is a stream of `output` events "
    "({stream, text}) and one `result`, or one `error`."
)


def _path_parameter(name: str, text: str, longest: int) -> Json:
    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _operation(
    operation: str,
    summary: str,
    status: int,
    model: type[BaseModel] | None,
    *errors: int,
    body: type[BaseModel] | None = None,
) -> Json:
    good: Json = {"description": "Done."}
    if model is not None:
        good["content"] = _content(model)
    answers = {str(status): good}
    for code in sorted({*errors, 403, 421}):
        answers[str(code)] = {"description": _ERRORS[code], "content": _content(ErrorBody)}
    described: Json = {"operationId": operation, "summary": summary, "responses": answers}
    if body is not None:
        described["requestBody"] = {"required": True, "content": _content(body)}
    return described


def _content(model: type[BaseModel]) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def main() -> None:
    """Print the document."""
    sys.stdout.write(json.dumps(build_document(), indent=2) + "\n")


if __name__ == "__main__":
    main()
