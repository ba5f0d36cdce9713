"""One model call as the recorder keeps it, and as it is shown: see agent_api.calls."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from agent_api.calls import (
    LONGEST_CONTENT_CHARS,
    LONGEST_TEXT_CHARS,
    MOST_TRIES,
    ModelCall,
    ModelOutcome,
    Tokens,
    Try,
)
from agent_kit.calls import cut, rfc3339, trace_ids
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.wire.usage import Usage

LONGEST_NAME: Final = 256
"""Characters of a name."""
_OUTCOMES: Final[dict[str, ModelOutcome]] = {"": "answered", "cancelled": "cancelled", "AllRoutesError": "failed"}


class CallRecord(msgspec.Struct, frozen=True):
    """What is at hand when a call ends. Times are in seconds; `error` is as `RequestAccount.note_end` has it."""

    at_s: float
    duration_s: float
    operation: str
    requested: str
    stream: bool
    tries: Sequence[AttemptRecord]
    error: str
    traceparent: str | None
    own_span: bool
    first_output_s: float | None = None
    usage: Usage | None = None
    micro_usd: int | None = None
    broken: str = ""
    content: tuple[bytes, bytes] | None = None

    @property
    def answered(self) -> AttemptRecord | None:
        """The try that answered."""
        if self.tries and self.tries[-1].outcome == "answered":  # nearly always
            return self.tries[-1]
        return next((each for each in reversed(self.tries) if each.outcome == "answered"), None)


def show_call(redact: Callable[[str], str], record: CallRecord, number: int) -> ModelCall:
    """The document of a call."""
    answered = record.answered
    asked, told = record.content or (b"", b"")
    return ModelCall(
        number=number,
        at=rfc3339(record.at_s),
        duration_ms=milliseconds(record.duration_s),
        operation=record.operation,
        requested=cut(record.requested, LONGEST_NAME),
        provider=answered.provider if answered else "",
        model=cut(answered.model, LONGEST_NAME) if answered else "",
        stream=record.stream,
        tries=tuple(_try(redact, each) for each in record.tries[-MOST_TRIES:]),
        tokens=_tokens(record.usage),
        usd=None if record.micro_usd is None else record.micro_usd / 1e6,
        first_token_ms=None if record.first_output_s is None else milliseconds(record.first_output_s),
        outcome=outcome_of(record),
        status=record.tries[-1].status if record.tries else 0,
        error=error_of(redact, record),
        trace=trace_ids(record.traceparent, own=record.own_span),
        input=content_text(redact, asked),
        output=content_text(redact, told),
    )


def outcome_of(record: CallRecord) -> ModelOutcome:
    """What became of a call."""
    if record.broken:
        return "broken"
    if record.error and record.error != "cancelled" and not record.tries:
        return "refused"
    return _OUTCOMES.get(record.error, "failed")


def error_of(redact: Callable[[str], str], record: CallRecord) -> str:
    """Why it failed, redacted and cut; empty when it did not."""
    if record.broken:
        return cut(redact(record.broken), LONGEST_TEXT_CHARS)
    if not record.error:
        return ""
    last = record.tries[-1].message if record.tries else ""
    return cut(redact(last or record.error), LONGEST_TEXT_CHARS)


def _try(redact: Callable[[str], str], record: AttemptRecord) -> Try:
    return Try(
        provider=record.provider,
        model=cut(record.model, LONGEST_NAME),
        outcome=record.outcome,
        status=record.status,
        reason=cut(redact(record.message), LONGEST_TEXT_CHARS),
        key=record.key,
        duration_ms=milliseconds(record.duration_s),
    )


def _tokens(usage: Usage | None) -> Tokens | None:
    if usage is None:
        return None
    reasoning = getattr(usage, "reasoning_tokens", 0)
    return Tokens(input=usage.input_tokens, output=usage.output_tokens, cached=usage.cached_tokens, reasoning=reasoning)


def content_text(redact: Callable[[str], str], raw: bytes) -> str:
    """Cut after redaction: half a secret has no shape."""
    return redact(raw.decode("utf-8", "replace"))[:LONGEST_CONTENT_CHARS]


def milliseconds(seconds: float) -> float:
    """As documents have them."""
    return round(max(0.0, seconds) * 1000, 3)
