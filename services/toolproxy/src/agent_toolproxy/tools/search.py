"""`find_tool` and `call_tool`: two definitions in a model's context instead of hundreds.

The ranking is by words: how many of the query's words a tool has in its name and description, rare words first.
"""

import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any, Final

from agent_toolproxy.call import Call, Json, ServedTool, define, text_result
from agent_toolproxy.errors import UnknownTool
from agent_toolproxy.schema import Schema
from agent_toolproxy.store.store import canonical_json

OWNER: Final = "toolproxy"
FIND: Final = "find_tool"
CALL: Final = "call_tool"
_WORD: Final = re.compile(r"[a-z0-9]+")
_NAME_WEIGHT: Final = 3
_SHORTEST_STEM: Final = 3

_FIND_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "maxLength": 500, "description": "What the tool should do, in a few words."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 50, "default": 5},
    },
    "required": ["query"],
    "additionalProperties": False,
}
_CALL_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "As find_tool gave it."},
        "arguments": {"type": "object", "description": "As the tool's inputSchema asks."},
    },
    "required": ["name"],
    "additionalProperties": False,
}


def rank(served_tools: Iterable[ServedTool], query: str) -> list[ServedTool]:
    """The tools that have a word of `query`, best first; all, by name, for a query without words."""
    documents = [(served, _words_of(served)) for served in served_tools]
    wanted = set(_WORD.findall(query.lower()))
    spread = Counter(word for _, words in documents for word in words)
    scored = []
    for served, words in documents:
        score = sum(_score(word, words, spread, len(documents)) for word in wanted)
        if score or not wanted:
            scored.append((-score, served.name, served))
    return [served for _, _, served in sorted(scored, key=lambda each: each[:2])]


def _score(word: str, words: Counter[str], spread: Counter[str], total: int) -> float:
    if word in words:
        return words[word] * math.log(1 + total / spread[word])
    stems = [each for each in words if len(word) >= _SHORTEST_STEM and each.startswith(word)]
    return 0.5 * sum(words[each] for each in stems)


def _words_of(served: ServedTool) -> Counter[str]:
    words = Counter(_WORD.findall(str(served.definition.get("description", "")).lower()))
    for word in _WORD.findall(served.name.lower()):
        words[word] += _NAME_WEIGHT
    return words


Catalogue = Callable[[], Iterable[ServedTool]]
Dispatch = Callable[[str, Call], Awaitable[Json]]


class SearchTools:
    """The two tools over everything that is served."""

    def __init__(self, catalogue: Catalogue, dispatch: Dispatch) -> None:
        self._catalogue = catalogue
        self._dispatch = dispatch
        self._find_schema = Schema(_FIND_SCHEMA)
        self._call_schema = Schema(_CALL_SCHEMA)

    def served_tools(self) -> tuple[ServedTool, ...]:
        """What is listed in place of all tools."""
        find = define(FIND, "Find tools by what they do. Gives their names and input schemas.", _FIND_SCHEMA)
        call = define(CALL, "Call a tool that find_tool gave.", _CALL_SCHEMA)
        return (
            ServedTool(
                owner=OWNER,
                kind="builtin",
                definition=find | {"annotations": {"readOnlyHint": True}},
                handler=self._find,
            ),
            ServedTool(owner=OWNER, kind="builtin", definition=call, handler=self._call, traced=False),
        )

    async def _find(self, call: Call) -> Json:
        self._find_schema.check(call.arguments)
        found = rank(self._catalogue(), call.arguments["query"])[: call.arguments.get("limit", 5)]
        tools: list[Any] = [
            {key: served.definition[key] for key in ("name", "description", "inputSchema") if key in served.definition}
            for served in found
        ]
        structured = {"tools": tools}
        return text_result(canonical_json(structured).decode("utf-8", "replace"), structured)

    async def _call(self, call: Call) -> Json:
        self._call_schema.check(call.arguments)
        name = call.arguments["name"]
        if name in (FIND, CALL):
            raise UnknownTool(f"{name} cannot be called through {CALL}")
        inner = replace(call, arguments=call.arguments.get("arguments", {}))
        return await self._dispatch(name, inner)
