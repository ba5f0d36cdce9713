"""Whether a tool definition of a server can be shown to clients and models at all.

Official clients validate the whole list at once, so one malformed definition would hide every tool of every server.
Each is judged alone, by what the strictest of those clients and the common model APIs take.
"""

from typing import Any, Final

from agent_toolproxy.boundedjson import dump_json, is_deeper
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.schema import Schema, SchemaError

LARGEST_DEFINITION_CHARS: Final = 128 << 10
DEEPEST_SCHEMA: Final = 50
_LONGEST_NAME: Final = 256
_TEXTS: Final = ("title", "description")
_HINTS: Final = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


class DefinitionError(ValueError):
    """A definition that clients or models would refuse; `str()` says why."""


def check_definition(tool: object) -> Json:
    """`tool`, when it can be shown. Raises DefinitionError."""
    if not isinstance(tool, dict):
        raise DefinitionError("it is not a JSON object")
    name = tool.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME:
        raise DefinitionError(f"its name is not a text of 1 to {_LONGEST_NAME} characters")
    _check_text(tool)
    for key in _TEXTS:
        if not isinstance(tool.get(key), str | None):
            raise DefinitionError(f"its {key} is not a text")
    _check_annotations(tool.get("annotations"))
    _check_icons(tool.get("icons"))
    if not isinstance(tool.get("_meta"), dict | None):
        raise DefinitionError("its _meta is not an object")
    _check_schema("inputSchema", tool.get("inputSchema"))
    if (output := tool.get("outputSchema")) is not None:
        _check_schema("outputSchema", output)
    return tool


def _check_text(tool: Json) -> None:
    if is_deeper(tool, DEEPEST_SCHEMA):
        raise DefinitionError(f"it is nested more than {DEEPEST_SCHEMA} deep")
    text = dump_json(tool)
    if len(text) > LARGEST_DEFINITION_CHARS:
        raise DefinitionError(f"it is longer than {LARGEST_DEFINITION_CHARS} characters")
    if "\\ufffd" in text and _has_lone_surrogate(tool):
        raise DefinitionError("it has characters that are none (lone surrogates)")


def _has_lone_surrogate(value: Any) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return any(_has_lone_surrogate(each) for pair in value.items() for each in pair)
    return isinstance(value, list) and any(map(_has_lone_surrogate, value))


def _check_annotations(annotations: object) -> None:
    if annotations is None:
        return
    if not isinstance(annotations, dict) or not isinstance(annotations.get("title"), str | None):
        raise DefinitionError("its annotations are not an object of hints")
    for hint in _HINTS:
        if not isinstance(annotations.get(hint), bool | None):
            raise DefinitionError(f"its annotation {hint} is neither true nor false")


def _check_icons(icons: object) -> None:
    if icons is None:
        return
    if not isinstance(icons, list) or not all(
        isinstance(each, dict) and isinstance(each.get("src"), str) for each in icons
    ):
        raise DefinitionError("its icons are not a list of objects with a src")


def _check_schema(name: str, schema: object) -> None:
    if not isinstance(schema, dict):
        raise DefinitionError(f"its {name} is not an object")
    if name == "inputSchema" and schema.get("type") != "object":
        raise DefinitionError(f"its {name} does not have the type object")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(each, dict) for each in properties.values()):
        raise DefinitionError(f"the properties of its {name} are not schemas")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
        raise DefinitionError(f"what its {name} requires is not a list of names")
    try:
        Schema(schema)
    except SchemaError as error:
        raise DefinitionError(f"its {name} cannot be used: {error}") from error
