"""One line for each call: who asked for what, and what came of it.

Each call has one, so it is encoded here and not by the formatter, and written a moment later, many at a time.
Arguments are there because a person who looks into an incident needs them; they are redacted, by value and by the
name of the field, and cut.
"""

import asyncio
import itertools
import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from agent_api.calls import Decision
from agent_kit.calls import rfc3339
from agent_kit.logs import bound, write_encoded
from agent_toolproxy.call import Call
from agent_toolproxy.rules.approvals import hash_call

_MESSAGE: Final = "tool call"
_log: Final = logging.getLogger("agent_toolproxy.tools.audit")
_LONGEST_CHARS: Final = 1000
_LONGEST_VALUE_CHARS: Final = 200
_LONGEST_SECRET_CHARS: Final = 4096
_DEEPEST: Final = 6
_DELAY_S: Final = 0.02


class FieldRedactor(Protocol):
    """The kit's redactor, as far as it is needed here."""

    def redact(self, text: str) -> str:
        """`text` without secrets."""

    def redact_field(self, name: str, text: str) -> str:
        """`text` as the value of a field."""

    def mask_cut(self, text: str) -> str:
        """`text`, which was cut off, without what may be the first part of a secret."""


@dataclass(frozen=True)
class AuditRecord:
    """A call that ended with `outcome`: ok, error, cancelled, or the refusal's code."""

    tool: str
    call: Call
    outcome: str
    seconds: float
    decision: Decision = "allowed"
    at_s: float = field(default_factory=time.time)
    """Of its end."""
    bound: Mapping[str, object] = field(default_factory=bound)
    """Fields of all lines about this call: its trace."""


class Audit:
    """Writes the lines, a moment after the calls: no caller waits for a log. `flush` writes what is left at the end."""

    def __init__(self, redactor: FieldRedactor) -> None:
        self._redactor = redactor
        self._waiting: deque[AuditRecord] = deque()

    def add(self, record: AuditRecord) -> None:
        """Write the line of a call soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_DELAY_S, self.flush)
        self._waiting.append(record)

    def flush(self) -> None:
        """Write all lines now."""
        records = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not records or not _log.isEnabledFor(logging.INFO):
            return
        lines = [self._fields_of(record) for record in records]
        if write_encoded([_encode(record, fields) for record, fields in zip(records, lines, strict=True)]):
            return
        for fields in lines:
            _log.info(_MESSAGE, extra=fields)

    def _fields_of(self, record: AuditRecord) -> dict[str, object]:
        return {
            **record.bound,
            "tool": self._redactor.redact(record.tool),
            "via": record.call.via,
            "decision": record.decision,
            "outcome": record.outcome,
            "duration_ms": round(record.seconds * 1000, 1),
            "arguments_hash": hash_call(record.tool, record.call)[:16],
            "arguments": self.show(record.call.arguments),
        }

    def show(
        self, arguments: Mapping[str, Any], *, longest: int = _LONGEST_CHARS, longest_value: int = _LONGEST_VALUE_CHARS
    ) -> str:
        """Arguments for a person: redacted, and cut with `...` where they are long."""
        masked = self._mask("", arguments, _DEEPEST, longest_value, _Room(longest))
        shown = self._redactor.redact(json.dumps(masked, ensure_ascii=False))
        return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."

    def _mask(self, name: str, value: Any, depth: int, longest: int, room: "_Room") -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, str):
            return self._mask_text(name, value, longest, room)
        if depth == 0:
            return "..."
        if isinstance(value, Mapping):
            return self._mask_fields(value, depth, longest, room)
        if isinstance(value, list):
            return [self._mask(name, each, depth - 1, longest, room) for each in itertools.islice(value, room.left)]
        return value

    def _mask_fields(self, value: Mapping[str, Any], depth: int, longest: int, room: "_Room") -> dict[str, Any]:
        """Each name by itself, so that it hides nothing of what follows it; names that are alike then are numbered."""
        shown: dict[str, Any] = {}
        for key, each in itertools.islice(value.items(), room.left):
            if not room.left:
                shown["..."] = "..."
                break
            masked = self._mask_text("", str(key), longest, room)
            alike = (f"{masked} ({number})" for number in itertools.count(2))
            name = next(name for name in itertools.chain([masked], alike) if name not in shown)
            shown[name] = self._mask(str(key), each, depth - 1, longest, room)
        return shown

    def _mask_text(self, name: str, value: str, longest: int, room: "_Room") -> str:
        """Masked before it is cut: half a secret is one, too."""
        if not room.left:
            return "..."
        window = value[: longest + _LONGEST_SECRET_CHARS]
        is_whole = len(window) == len(value)
        masked = self._redactor.redact_field(name, window if is_whole else self._redactor.mask_cut(window))
        is_cut = len(masked) > longest or not is_whole
        room.left = max(0, room.left - min(len(masked), longest))
        return f"{masked[:longest]}..." if is_cut else masked


def _encode(record: AuditRecord, fields: Mapping[str, object]) -> bytes:
    own = {"time": rfc3339(record.at_s), "level": "info", "logger": _log.name, "message": _MESSAGE}
    return json.dumps({**own, **fields}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


@dataclass
class _Room:
    """How many characters are still shown: what comes after them is cut, and need not be looked at."""

    left: int
