"""What of a request has to be the same for a recording to answer it.

An agent that runs again sends other ids and another date, and whatever it keeps in sets comes in another order. None
of that is a change of its behaviour. Everything that is left out of the comparison is listed in `LEFT_OUT`, which a
cassette shows in its first line; all the rest must be equal.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from agentberth.replay.bodies import dump, parsed

LEFT_OUT: Final = (
    "headers, and the order of keys in objects",
    "the order of tools, of required in schemas, and of the results of tools that were called together",
    "ids of calls, items and messages: they are numbered as they appear; not inside the arguments of tools",
    "UUIDs, dates and times in texts; not inside the arguments of tools",
    "the folder of the run, and ports of loopback addresses",
    "user, metadata, client_metadata, prompt_cache_key and safety_identifier of a model request",
    "id, _meta and clientInfo of an MCP message",
)
RUN_FOLDER: Final = "{run}"
DEEPEST: Final = 100

_DROPPED: Final = frozenset(
    {"user", "metadata", "client_metadata", "prompt_cache_key", "safety_identifier", "_meta", "clientInfo"}
)
_IDS: Final = frozenset(
    {"id", "call_id", "tool_call_id", "tool_use_id", "item_id", "response_id", "previous_response_id"}
)
_EXACT: Final = frozenset(
    {"arguments", "parameters", "input_schema", "inputSchema", "schema", "properties", "json_schema"}
)
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?"
_DAY: Final = r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,? )?"
_CLOCK: Final = r"(?:[T ,]*\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?: ?[AP]M)?(?:Z| ?UTC| ?GMT| ?[+-]\d{2}:?\d{2})?)?"
_TIMES: Final = re.compile(
    rf"\b\d{{4}}-\d{{2}}-\d{{2}}{_CLOCK}|\b{_DAY}(?:{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? (?:at )?\d{{4}}"
    rf"|\d{{1,2}} {_MONTH} \d{{4}}|{_MONTH} +\d{{1,2}} \d{{2}}:\d{{2}}:\d{{2}}(?: [A-Z]{{3,4}})? \d{{4}}){_CLOCK}"
    r"|\b\d{1,2}:\d{2}:\d{2}(?:\.\d{1,9})?\b"
)
_UUID: Final = re.compile(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_LOOPBACK: Final = re.compile(r"\b(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}\b")


class Canonical:
    """Makes the comparable form of requests of one run; `folder` is where the run keeps its files."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folders = [str(folder), str(folder.resolve())] if folder else []

    def key(self, method: str, path: str, body: bytes) -> str:
        """Equal for two requests that one recording answers."""
        return dump({"method": method, "path": self.place(path), "body": self.body(body)})

    def body(self, raw: bytes) -> Any:  # noqa: ANN401 - any JSON
        """A body in comparable form: JSON, or a text."""
        value = parsed(raw) if raw else None
        if value is None:
            return self.text(raw.decode(errors="backslashreplace"))
        return self.value(value)

    def value(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """JSON in comparable form."""
        return _Pass(self).run(value)

    def place(self, text: str) -> str:
        """`text` without what differs between machines."""
        for folder in self._folders:
            text = text.replace(folder, RUN_FOLDER)
        return _LOOPBACK.sub(r"\1", text)

    def text(self, text: str) -> str:
        """`text` without what differs between machines and moments."""
        return _UUID.sub("<uuid>", _TIMES.sub("<time>", self.place(text)))


class _Pass:
    """One pass over one document: ids are numbered within it."""

    def __init__(self, canonical: Canonical) -> None:
        self._canonical = canonical
        self._ids: dict[str, str] = {}

    def run(self, document: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(document, dict) and "jsonrpc" in document:
            document = {key: value for key, value in document.items() if key != "id"}
        return self._walk(document, DEEPEST)

    def _walk(self, value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, str):
            return self._canonical.text(value)
        if depth == 0:
            return "..."
        if isinstance(value, list):
            return _in_order([self._walk(each, depth - 1) for each in value])
        if isinstance(value, dict):
            return {key: self._member(key, value[key], depth - 1) for key in sorted(value) if key not in _DROPPED}
        return value

    def _member(self, key: str, value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON
        if key in _IDS and isinstance(value, str):
            return self._ids.setdefault(value, f"<id {len(self._ids) + 1}>")
        if key in _EXACT or (key == "input" and isinstance(value, dict)):
            return _each_text(value, self._canonical.place, depth)
        found = self._walk(value, depth)
        return sorted(found, key=dump) if key in ("tools", "required") and isinstance(found, list) else found


def _each_text(value: Any, change: Callable[[str], str], depth: int) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return change(value)
    if depth == 0:
        return "..."
    if isinstance(value, list):
        return [_each_text(each, change, depth - 1) for each in value]
    if isinstance(value, dict):
        changed = {key: _each_text(value[key], change, depth - 1) for key in sorted(value)}
        if isinstance(changed.get("required"), list):
            changed["required"] = sorted(changed["required"], key=dump)
        return changed
    return value


def _in_order(items: list[Any]) -> list[Any]:
    """`items` with each run of tool results sorted: those of one turn come in the order in which tools end."""
    ordered: list[Any] = []
    results: list[Any] = []
    for item in items:
        if _is_tool_result(item):
            results.append(item)
            continue
        ordered += [*sorted(results, key=dump), item]
        results = []
    return ordered + sorted(results, key=dump)


def _is_tool_result(item: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(item, dict) and (
        item.get("role") == "tool" or item.get("type") in ("tool_result", "function_call_output")
    )
