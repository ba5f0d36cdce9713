"""One line in the log for each call of a model: what was asked for, who answered, and what it took.

Each request has one, so it is encoded here and not by the formatter, and written a moment later, many at a time.
Nothing of a prompt or an answer is in it; the texts of others are redacted and cut.
"""

import asyncio
import logging
from collections import deque
from functools import lru_cache
from typing import Final

import msgspec

from agent_api.calls import MOST_TRIES
from agent_base.redaction import Redactor
from agent_kit.calls import cut, rfc3339
from agent_kit.logs import write_encoded
from agent_kit.telemetry import Telemetry
from agent_llmgateway.http.callrecord import LONGEST_NAME, CallRecord, error_of, milliseconds, outcome_of

_log: Final = logging.getLogger(__name__)
_DELAY_S: Final = 0.02
_MOST_AT_ONCE: Final = 64
"""Lines that are written before requests have their turn again."""
_OF_RECORDS: Final = frozenset({"time", "level", "logger", "message"})
"""Fields that a record of the log makes itself."""
_encode: Final = msgspec.json.Encoder().encode


class FailedTry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A try without an answer."""

    provider: str
    outcome: str
    status: int = 0


class AuditLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line, with the names that records of the log have. What is not known is left out."""

    time: str
    level: str
    logger: str
    message: str
    operation: str
    requested: str
    outcome: str
    duration_ms: float
    provider: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    failed_tries: tuple[FailedTry, ...] = ()
    first_token_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    usd: float | None = None
    error: str = ""
    trace_id: str = ""


class CallAudit:
    """Writes the lines, a moment after the calls. `flush` writes what is left at the end."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._waiting: deque[CallRecord] = deque()

    def add(self, record: CallRecord) -> None:
        """Write the line of a call soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(_DELAY_S, self._write_some)
        self._waiting.append(record)

    def flush(self) -> None:
        """Write all lines now."""
        while self._waiting:
            self._write()

    def _write_some(self) -> None:
        self._write()
        if self._waiting:
            asyncio.get_running_loop().call_later(0, self._write_some)

    def _write(self) -> None:
        records = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        if not records or not _log.isEnabledFor(logging.INFO):
            return
        lines = [audit_line(self._redactor, record) for record in records]
        if write_encoded([_encode(line) for line in lines]):
            return
        for line in lines:
            fields = msgspec.to_builtins(line)
            _log.info(line.message, extra={name: fields[name] for name in fields if name not in _OF_RECORDS})


def audit_line(redactor: Redactor, record: CallRecord) -> AuditLine:
    """The line of a call."""
    answered, usage = record.answered, record.usage
    return AuditLine(
        rfc3339(record.at_s),
        "info",
        __name__,
        "model call",
        record.operation,
        redactor.redact(cut(record.requested, LONGEST_NAME)),
        outcome_of(record),
        milliseconds(record.duration_s),
        provider=answered.provider if answered else "",
        model=answered.model[:LONGEST_NAME] if answered else "",
        stream=record.stream,
        status=record.tries[-1].status if record.tries else 0,
        failed_tries=() if len(record.tries) == 1 and answered else _failed(record),
        first_token_ms=None if record.first_output_s is None else milliseconds(record.first_output_s),
        input_tokens=usage.input_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        usd=None if record.micro_usd is None else record.micro_usd / 1e6,
        error=error_of(redactor.redact, record),
        trace_id=_trace_id(record.traceparent or ""),
    )


def _failed(record: CallRecord) -> tuple[FailedTry, ...]:
    found = record.tries[-MOST_TRIES:]
    return tuple(FailedTry(each.provider, each.outcome, each.status) for each in found if each.outcome != "answered")


@lru_cache(maxsize=64)
def _trace_id(traceparent: str) -> str:
    """Most calls of an agent are of one trace."""
    found = Telemetry.extract({"traceparent": traceparent}).get("traceparent")
    return found.split("-")[1] if found else ""
