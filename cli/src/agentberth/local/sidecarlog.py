"""What a person is shown of a sidecar's log during a run: calls of tools, warnings and errors."""

import json
from collections.abc import Mapping
from typing import Any, Final

from agentberth.errors import UsageError

LEVEL: Final = "AGENTBERTH_LOG_LEVEL"
_LEVELS: Final = ("debug", "info", "warning", "error")
_OF_THE_LINE: Final = frozenset({"time", "level", "logger", "message", "stack", "component", "agent", "namespace"})
_OF_PYTHON: Final = "py.warnings"  # for who writes the sidecar
_LONGEST_ARGUMENTS: Final = 120
_USUAL_OF_REDIS: Final = (
    "Configuration loaded",
    "Server initialized",
    "Memory overcommit must be enabled",
    "Received SIGTERM",
    "User requested shutdown",
    "Redis is now ready to exit",
    "Redis is starting",
    "just started",
    "Ready to accept connections",
    "Saving the final RDB snapshot",
    "DB saved on disk",
)


def read_redis_line(line: str) -> str | None:
    """As `read_line`: what redis-server prints at each start and stop as a warning, it is not."""
    return None if any(usual in line for usual in _USUAL_OF_REDIS) else line


def least_level(environment: Mapping[str, str]) -> str:
    """The least severe level that is shown. Raises UsageError for another word than a level."""
    level = environment.get(LEVEL, "warning").lower()
    if level not in _LEVELS:
        raise UsageError(f"{LEVEL}: {level!r} is not a log level", cure=f"one of {', '.join(_LEVELS)}")
    return level


def read_line(line: str, least: str = "warning") -> str | None:
    """The line for a person, None for one below the level `least`; a line that is not a record stays."""
    try:
        record = json.loads(line)
    except ValueError:
        return line
    if not isinstance(record, dict) or "message" not in record:
        return line
    if record["message"] == "tool call":
        return _call(record)
    level = record.get("level")
    is_hidden = level not in _LEVELS or _LEVELS.index(level) < _LEVELS.index(least)
    if is_hidden or (record.get("logger") == _OF_PYTHON and least == "warning"):
        return None
    fields = " ".join(
        f"{name}={_value(value)}" for name, value in record.items() if name not in _OF_THE_LINE and value != ""
    )
    return f"{record['level']}: {record['message']} {fields}".rstrip()


def _call(record: dict[str, Any]) -> str:
    arguments = str(record.get("arguments", ""))
    shown = arguments if len(arguments) <= _LONGEST_ARGUMENTS else f"{arguments[:_LONGEST_ARGUMENTS]}..."
    decided = record.get("decision", "allowed")
    decision = "" if decided == "allowed" else f" ({decided})"
    took_ms = record.get("duration_ms", 0)
    return f"tool {record.get('tool')} {shown}: {record.get('outcome')}{decision} in {took_ms:.0f} ms"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) and value.isalnum() else json.dumps(value, ensure_ascii=False)
