"""How errors are told to the client: one description for whole answers and streams, in all dialects."""

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agent_base.redaction import Redactor
from agent_llmgateway.errors import (
    AllRoutesError,
    BadRequestError,
    MalformedEventError,
    RefusalError,
    ReturnedError,
    UnknownMethodError,
)
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.wire.dialects import Dialect, Problem

_log = logging.getLogger(__name__)
PROVIDER: Final = "x-agentberth-provider"
ATTEMPTS: Final = "x-agentberth-attempts"
OVERHEAD: Final = "x-agentberth-overhead-ms"
DROPPED: Final = "x-agentberth-dropped"
ESTIMATED: Final = "x-agentberth-estimated"
DELIVERY: Final = "x-agentberth-delivery"

_BUSY: Final = frozenset({Cause.RATE_LIMIT, Cause.UNAVAILABLE, Cause.SKIPPED})
_UNTRIED: Final = frozenset({Cause.NOT_CARRIED, Cause.SKIPPED})
_NO_RETRY: Final = {"x-should-retry": "false"}

Redact = Callable[[str], str]
Answered = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""


@dataclass(frozen=True, slots=True)
class DescribedError:
    """What a client is told. `body` is a provider's own error document, of `body_dialect`."""

    problem: Problem
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    body_dialect: str = ""


def count_tries(records: Sequence[AttemptRecord]) -> int:
    """Requests that were sent to providers."""
    return 1 if len(records) == 1 else sum(record.outcome not in _UNTRIED for record in records)


def describe_error(error: Exception, redact: Redact) -> DescribedError:
    """What the client is told of `error`. A fault of the gateway's own is logged."""
    if isinstance(error, RefusalError):
        return _describe_refusal(error)
    if isinstance(error, MalformedEventError):  # those of an answer have ended its try: this is the request's
        return _describe_refusal(BadRequestError(f"The request is not valid: {error}", code="invalid_json"))
    if isinstance(error, ReturnedError):
        return _describe_returned(error, redact)
    if isinstance(error, AllRoutesError):
        return _describe_all_failed(error, redact)
    _log.error("the gateway failed", exc_info=error)
    problem = Problem(500, "the gateway failed; its log says why", "api_error", "gateway_error")
    return DescribedError(problem, _NO_RETRY)


def answer_error(dialect: Dialect, error: Exception, redactor: Redactor) -> Answered:
    """`error` as a whole answer: a provider's refusal in its own bytes where the dialect is the same."""
    described = describe_error(error, redactor.redact)
    if described.body and described.body_dialect == dialect.name:
        body = _redact_body(described.body, redactor)
    else:
        body = dialect.error_body(described.problem)
    return described.problem.status, body, dict(described.headers)


def status_of_all(failed: AllRoutesError) -> int:
    """429 when all were rate limited, 503 when all were busy or away, else 502."""
    tried = [record for record in failed.attempts if record.outcome != Cause.NOT_CARRIED]
    limited = [record for record in tried if record.outcome == Cause.RATE_LIMIT or record.status == 429]
    if limited and all(record in limited or record.outcome == Cause.SKIPPED for record in tried):
        return 429
    return 503 if tried and all(record.outcome in _BUSY for record in tried) else 502


def problem_of(failure: Failure, redact: Redact) -> Problem:
    """A failure in words for the client."""
    return Problem(
        failure.status,
        redact(failure.message),
        redact(failure.kind) or "api_error",
        redact(failure.code) if failure.code else failure.cause,
        redact(failure.param) if failure.param else failure.param,
    )


def _describe_refusal(refusal: RefusalError) -> DescribedError:
    headers = dict(_NO_RETRY)
    if isinstance(refusal, UnknownMethodError):
        headers["allow"] = refusal.allowed
    if refusal.retry_after_s is not None:
        headers.update(_wait_headers(refusal.retry_after_s))
    return DescribedError(
        Problem(refusal.status, refusal.message, refusal.kind, refusal.code, refusal.param), headers
    )  # fmt: skip


def _describe_returned(returned: ReturnedError, redact: Redact) -> DescribedError:
    headers = {PROVIDER: returned.provider, ATTEMPTS: str(count_tries(returned.attempts))}
    failure = returned.failure
    return DescribedError(problem_of(failure, redact), headers, failure.body, failure.dialect)


def _describe_all_failed(failed: AllRoutesError, redact: Redact) -> DescribedError:
    """The first route's error, what all of them said, and when to come back."""
    attempts = [{**record.document(), "message": redact(record.message)} for record in failed.attempts]
    problem = replace(problem_of(failed.first, redact), status=status_of_all(failed), attempts=attempts)
    headers = {**_NO_RETRY, ATTEMPTS: str(count_tries(failed.attempts))}
    if failed.wait_s is not None:
        headers.update(_wait_headers(failed.wait_s))
    return DescribedError(problem, headers)


def _redact_body(body: bytes, redactor: Redactor) -> bytes:
    """A provider's error document: its own bytes, unless a string in it, however spelt, holds a secret."""
    is_single = True

    def read_object(fields: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal is_single
        document = dict(fields)
        is_single = is_single and len(document) == len(fields)
        return document

    try:
        document = json.loads(body, object_pairs_hook=read_object)
        redacted = redactor.redact_document(document)
        is_shown = is_single and redacted == document  # of a field that stands twice only one was looked at
        return body if is_shown else json.dumps(redacted).encode()
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").replace("\0", "")  # in UTF-16 they stand between the letters of a key
        return redactor.redact(text).encode()


def _wait_headers(wait_s: float) -> dict[str, str]:
    return {"retry-after": str(max(1, math.ceil(wait_s))), "retry-after-ms": str(max(1, math.ceil(wait_s * 1000)))}
