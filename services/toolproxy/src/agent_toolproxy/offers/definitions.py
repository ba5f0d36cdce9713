"""Whether a resource, a template or a prompt of a server can be shown to clients, each judged alone.

Official clients validate a whole list at once: one malformed entry would hide those of every server.
"""

from typing import Any, Final

from agent_toolproxy.boundedjson import dump_json, is_deeper
from agent_toolproxy.mcp.definitions import DefinitionError
from agent_toolproxy.mcp.messages import Json
from agent_toolproxy.offers.uritemplate import UriTemplate, is_uri

LARGEST_CHARS: Final = 32 << 10
LONGEST_URI_CHARS: Final = 2048
_LONGEST_NAME: Final = 256
_DEEPEST: Final = 20
_MOST_ARGUMENTS: Final = 100
_COMMON: Final = ("name", "title", "description", "icons", "_meta")
_TEXTS: Final = ("title", "description", "mimeType")


def check_resource(entry: object) -> Json:
    """A resource of a list, as it is shown. Raises DefinitionError."""
    found = _check_common(entry, (*_COMMON, "uri", "mimeType", "size", "annotations"), named_by="uri")
    if not is_uri(found.get("uri"), LONGEST_URI_CHARS):
        raise DefinitionError(f"its uri is not one of at most {LONGEST_URI_CHARS} characters")
    size = found.get("size", 0)
    if not isinstance(size, int) or isinstance(size, bool):
        raise DefinitionError("its size is not a number of bytes")
    return found


def check_template(entry: object) -> Json:
    """A template of resources, as it is shown. Raises DefinitionError."""
    found = _check_common(entry, (*_COMMON, "uriTemplate", "mimeType", "annotations"), named_by="uriTemplate")
    template = found.get("uriTemplate")
    if not isinstance(template, str) or len(template) > LONGEST_URI_CHARS:
        raise DefinitionError(f"its uriTemplate is not one of at most {LONGEST_URI_CHARS} characters")
    UriTemplate(template)
    return found


def check_prompt(entry: object) -> Json:
    """A prompt, as it is shown but for its name. Raises DefinitionError."""
    found = _check_common(entry, (*_COMMON, "arguments"), named_by="")
    arguments = found.get("arguments", [])
    if not isinstance(arguments, list) or len(arguments) > _MOST_ARGUMENTS:
        raise DefinitionError(f"its arguments are not a list of at most {_MOST_ARGUMENTS}")
    for each in arguments:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise DefinitionError("an argument of it has no name")
        if not isinstance(each.get("required", False), bool) or not _are_texts(each, ("title", "description")):
            raise DefinitionError(f"its argument {each['name'][:_LONGEST_NAME]!r} is malformed")
    return found


def _check_common(entry: object, keys: tuple[str, ...], *, named_by: str) -> Json:
    if not isinstance(entry, dict):
        raise DefinitionError("it is not a JSON object")
    if is_deeper(entry, _DEEPEST):
        raise DefinitionError(f"it is nested more than {_DEEPEST} deep")
    found: Json = {key: entry[key] for key in keys if entry.get(key) is not None}
    if len(dump_json(found)) > LARGEST_CHARS:
        raise DefinitionError(f"it is longer than {LARGEST_CHARS} characters")
    found.setdefault("name", found.get(named_by))
    name = found["name"]
    if not isinstance(name, str) or not name or (len(name) > _LONGEST_NAME and not named_by):
        raise DefinitionError(f"its name is not a text of 1 to {_LONGEST_NAME} characters")
    if not _are_texts(found, _TEXTS):
        raise DefinitionError("its title, description or mimeType is not a text")
    if not all(isinstance(found.get(key, {}), dict) for key in ("annotations", "_meta")):
        raise DefinitionError("its annotations or _meta are not objects")
    _check_icons(found.get("icons", []))
    return found


def _check_icons(icons: Any) -> None:  # noqa: ANN401 - any JSON
    if not isinstance(icons, list) or not all(
        isinstance(each, dict) and isinstance(each.get("src"), str) for each in icons
    ):
        raise DefinitionError("its icons are not a list of objects with a src")


def _are_texts(found: Json, keys: tuple[str, ...]) -> bool:
    return all(isinstance(found.get(key), str | None) for key in keys)
