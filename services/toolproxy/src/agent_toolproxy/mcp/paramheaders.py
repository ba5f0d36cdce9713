"""`x-mcp-header`: arguments that a server wants to see in its request's headers too.

The annotation is for the leg between us and that server, so it is taken out of the schema that we show.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent_toolproxy.mcp.codec import encode_header
from agent_toolproxy.mcp.messages import Json

_ANNOTATION: Final = "x-mcp-header"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TYPES: Final = ("string", "integer", "boolean")
_LARGEST_INTEGER: Final = 2**53 - 1


class AnnotationError(ValueError):
    """A tool that must not be used over HTTP: its annotation breaks the rules."""


@dataclass(frozen=True)
class ParamHeaders:
    """Where the arguments are that become headers."""

    paths: Mapping[tuple[str, ...], str]

    def build(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        """The headers for `arguments`; absent and null ones have none. Raises ValueError for an integer too large."""
        headers = {}
        for path, name in self.paths.items():
            value = _find(arguments, path)
            if value is not None:
                headers[f"Mcp-Param-{name}"] = encode_header(_spell(value))
        return headers


def extract_param_headers(schema: Json) -> tuple[Json, ParamHeaders]:
    """The schema without annotations, and what they said. Raises AnnotationError."""
    stripped = copy.deepcopy(schema)
    paths: dict[tuple[str, ...], str] = {}
    for path, place in list(_walk_properties(stripped, ())):
        if _ANNOTATION in place:
            paths[path] = _checked(place.pop(_ANNOTATION), place)
    if len({name.lower() for name in paths.values()}) < len(paths):
        raise AnnotationError(f"two properties have the same {_ANNOTATION}")
    if _mentions(stripped):
        raise AnnotationError(f"{_ANNOTATION} is where no plain property is")
    return stripped, ParamHeaders(paths)


def _walk_properties(schema: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    properties = schema.get("properties")
    for name, place in properties.items() if isinstance(properties, dict) else ():
        if isinstance(place, dict):
            yield (*path, name), place
            yield from _walk_properties(place, (*path, name))


def _checked(name: object, place: Json) -> str:
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise AnnotationError(f"{_ANNOTATION} must be a header's name")
    if place.get("type") not in _TYPES:
        raise AnnotationError(f"{_ANNOTATION} is for strings, integers and booleans")
    return name


def _mentions(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether an annotation is left, other than as the name of a property."""
    if isinstance(value, list):
        return any(_mentions(each) for each in value)
    if not isinstance(value, dict):
        return False
    for key, each in value.items():
        inner = list(each.values()) if key == "properties" and isinstance(each, dict) else each
        if key == _ANNOTATION or (key not in ("const", "enum", "default", "examples") and _mentions(inner)):
            return True
    return False


def _find(arguments: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON
    for key in path:
        if not isinstance(arguments, Mapping):
            return None
        arguments = arguments.get(key)
    return arguments


def _spell(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float) and not (abs(value) <= _LARGEST_INTEGER and value == int(value)):
        raise ValueError("a number that a header cannot carry")
    return str(int(value)) if isinstance(value, int | float) else str(value)
