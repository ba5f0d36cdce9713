"""How failures are told to the client: one form for all dialects, and what goes into it."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agent_llmgateway.errors import AllRoutesError, RefusalError, ReturnedError, UnknownMethodError
from agent_llmgateway.failures.attempt import AttemptRecord
from agent_llmgateway.failures.failure import Cause, Failure
from agent_llmgateway.wire.dialects import Dialect, Problem

PROVIDER: Final = "x-agentberth-provider"
ATTEMPTS: Final = "x-agentberth-attempts"
OVERHEAD: Final = "x-agentberth-overhead-ms"
DROPPED: Final = "x-agentberth-dropped"
CACHE: Final = "x-agentberth-cache"
DELIVERY: Final = "x-agentberth-delivery"

_BUSY: Final = frozenset({Cause.RATE_LIMIT, Cause.UNAVAILABLE, Cause.SKIPPED})
_UNTRIED: Final = frozenset({Cause.NOT_CARRIED, Cause.SKIPPED})

Answered = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""


def count_tries(records: Sequence[AttemptRecord]) -> int:
    """Requests that were sent to providers."""
    return 1 if len(records) == 1 else sum(record.outcome not in _UNTRIED for record in records)


def tell_refusal(dialect: Dialect, refusal: RefusalError) -> Answered:
    """The gateway's own refusal."""
    problem = Problem(refusal.status, refusal.message, refusal.kind, refusal.code, refusal.param)
    headers = {"x-should-retry": "false"}
    if isinstance(refusal, UnknownMethodError):
        headers["allow"] = refusal.allowed
    if refusal.retry_after_s is not None:
        headers.update(_waits(refusal.retry_after_s))
    return refusal.status, dialect.error_body(problem), headers


def tell_returned(dialect: Dialect, returned: ReturnedError, redact: Callable[[str], str]) -> Answered:
    """A provider's refusal: its own bytes where the dialect is the same, without secrets in any case."""
    failure = returned.failure
    headers = {PROVIDER: returned.provider, ATTEMPTS: str(count_tries(returned.attempts))}
    if failure.body and failure.dialect == dialect.name:
        return failure.status, redact(failure.body.decode("utf-8", "replace")).encode(), headers
    return failure.status, dialect.error_body(problem_of(failure, redact)), headers


def tell_all_failed(dialect: Dialect, failed: AllRoutesError, redact: Callable[[str], str]) -> Answered:
    """No route answered: the first one's error, what all of them said, and when to come back."""
    status = status_of_all(failed)
    attempts = [_document(record, redact) for record in failed.attempts]
    first = failed.first
    problem = Problem(
        status, redact(first.message), first.kind or "api_error", first.code or first.cause, first.param, attempts
    )
    headers = {"x-should-retry": "false", ATTEMPTS: str(count_tries(failed.attempts))}
    if failed.wait_s is not None:
        headers.update(_waits(failed.wait_s))
    return status, dialect.error_body(problem), headers


def status_of_all(failed: AllRoutesError) -> int:
    """429 when all were rate limited, 503 when all were busy or away, else 502."""
    outcomes = {record.outcome for record in failed.attempts} - {Cause.NOT_CARRIED}
    if Cause.RATE_LIMIT in outcomes and outcomes <= {Cause.RATE_LIMIT, Cause.SKIPPED}:
        return 429
    return 503 if outcomes and outcomes <= _BUSY else 502


def problem_of(failure: Failure, redact: Callable[[str], str]) -> Problem:
    """A failure in words for the client."""
    return Problem(
        failure.status,
        redact(failure.message),
        failure.kind or "api_error",
        failure.code or failure.cause,
        failure.param,
    )


def _document(record: AttemptRecord, redact: Callable[[str], str]) -> Mapping[str, object]:
    return {**record.document(), "message": redact(record.message)}


def _waits(wait_s: float) -> dict[str, str]:
    return {"retry-after": str(max(1, math.ceil(wait_s))), "retry-after-ms": str(max(1, math.ceil(wait_s * 1000)))}
