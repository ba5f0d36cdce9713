"""The memory as built-in tools."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from agent_toolproxy.call import Call, Json, ServedTool, define, text_result
from agent_toolproxy.errors import MemoryUnavailable
from agent_toolproxy.memory.notes import LONGEST_TTL_S, MOST_KEYS, Notes
from agent_toolproxy.schema import Schema
from agent_toolproxy.store.store import canonical_json

OWNER: Final = "memory"
Action = Callable[[Notes, Mapping[str, Any]], Awaitable[Json]]

_KEY: Final = {"type": "string", "minLength": 1, "maxLength": 512}
_PREFIX: Final = {"type": "string", "maxLength": 512, "description": "Keys that begin with this."}
_LIMIT: Final = {"type": "integer", "minimum": 1, "maximum": MOST_KEYS, "default": 100}


async def _get(notes: Notes, given: Mapping[str, Any]) -> Json:
    note = await notes.get(given["key"])
    if note is None:
        return {"found": False}
    return {"found": True, "value": note.value} | ({"ttlSeconds": note.ttl_s} if note.ttl_s else {})


async def _set(notes: Notes, given: Mapping[str, Any]) -> Json:
    await notes.set(given["key"], given["value"], given.get("ttlSeconds"))
    return {"stored": True}


async def _append(notes: Notes, given: Mapping[str, Any]) -> Json:
    return {"sizeBytes": await notes.append(given["key"], given["value"])}


async def _delete(notes: Notes, given: Mapping[str, Any]) -> Json:
    return {"deleted": await notes.delete(given["key"])}


async def _list(notes: Notes, given: Mapping[str, Any]) -> Json:
    return {"keys": await notes.keys(given.get("prefix", ""), given.get("limit", 100))}


async def _search(notes: Notes, given: Mapping[str, Any]) -> Json:
    found = await notes.search(given["prefix"], given.get("limit", 100))
    return {"items": [{"key": key, "value": value} for key, value in found.items()]}


_TOOLS: Final[tuple[tuple[str, str, Action, Json, tuple[str, ...], Json], ...]] = (
    ("get", "Read what was remembered under a key.", _get, {"key": _KEY}, ("key",), {"readOnlyHint": True}),
    (
        "set",
        "Remember a text under a key, in place of what was there; with ttlSeconds only for so long.",
        _set,
        {
            "key": _KEY,
            "value": {"type": "string"},
            "ttlSeconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_TTL_S},
        },
        ("key", "value"),
        {"idempotentHint": True},
    ),
    (
        "append",
        "Add a text to the end of what is remembered under a key.",
        _append,
        {"key": _KEY, "value": {"type": "string"}},
        ("key", "value"),
        {},
    ),
    (
        "list",
        "List the keys that are remembered.",
        _list,
        {"prefix": _PREFIX, "limit": _LIMIT},
        (),
        {"readOnlyHint": True},
    ),
    (
        "search",
        "Read everything that is remembered under keys with a prefix.",
        _search,
        {"prefix": _PREFIX, "limit": _LIMIT},
        ("prefix",),
        {"readOnlyHint": True},
    ),
    ("delete", "Forget what is remembered under a key.", _delete, {"key": _KEY}, ("key",), {"idempotentHint": True}),
)


class MemoryTool:
    """One action as the handler of a served tool. A memory that is away is a result that says so."""

    def __init__(self, notes: Notes, action: Action, schema: Json) -> None:
        self._notes = notes
        self._action = action
        self._schema = Schema(schema)

    async def __call__(self, call: Call) -> Json:
        """Raises InvalidArguments."""
        self._schema.check(call.arguments)
        try:
            structured = await self._action(self._notes, call.arguments)
        except MemoryUnavailable as error:
            return text_result(f"{error}. Go on without it, or try again later.", is_error=True)
        return text_result(canonical_json(structured).decode("utf-8", "replace"), structured)


def memory_tools(notes: Notes) -> tuple[ServedTool, ...]:
    """The tools over `notes`: memory__get, memory__set and so on."""
    served_tools = []
    for name, description, action, properties, required, hints in _TOOLS:
        schema: Json = {
            "type": "object",
            "properties": properties,
            "required": list(required),
            "additionalProperties": False,
        }
        served_tools.append(
            ServedTool(
                owner=OWNER,
                kind="builtin",
                definition=define(f"{OWNER}__{name}", description, schema, annotations=hints),
                handler=MemoryTool(notes, action, schema),
            )
        )
    return tuple(served_tools)
