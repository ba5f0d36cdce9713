"""What a failed try means: one small value that decides what happens next.

Providers word the same thing in many ways. Here, and only here, status, error type, code and message are turned
into a `Cause`; everything behind it works on causes alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from agent_llmgateway.failures.retry_after import read_retry_after


class Cause(StrEnum):
    """Why a try failed, by what has to be done about it."""

    KEY = "key_refused"
    """401, 402, 403: this key is of no use for this request."""
    RATE_LIMIT = "rate_limited"
    SERVER = "server_error"
    """500: once more at the same provider."""
    UNAVAILABLE = "unavailable"
    """Other 5xx, and anything of the network before the answer began."""
    BROKEN = "broken_answer"
    """An answer that was cut, or is not what its dialect says."""
    SILENT = "silent"
    """Nothing came within the limit."""
    CONTEXT = "context_length"
    FILTER = "content_filter"
    REFUSED = "refused"
    """Another 4xx: returned to the client."""
    NOT_CARRIED = "not_carried"
    """The request cannot be translated for this route, or the route does not serve it."""
    SKIPPED = "breaker_open"
    """Not tried: its breaker is open."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed try. `body` is the provider's own, for a failure that is returned as it came."""

    cause: Cause
    status: int
    message: str
    kind: str = ""
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    body: bytes = b""
    dialect: str = ""
    """Whose error form `body` has."""


_KIND_STATUS: Final = {
    "overloaded_error": 529,
    "overloaded": 529,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "tokens": 429,
    "requests": 429,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "timeout_error": 504,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
}
_CONTEXT: Final = re.compile(
    r"maximum context length|context (?:length|window)|prompt is too long|input is too long"
    r"|too many (?:input )?tokens|exceed_context_size|reduce the length of the messages",
    re.IGNORECASE,
)
_FILTER_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "cyber_policy", "policy_violation"}
)
_FILTER: Final = re.compile(
    r"content (?:management|filtering|usage|safety) policy|content[ _]filter|violat\w+ .{0,60}polic(?:y|ies)",
    re.IGNORECASE,
)
_SHOWN_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class _Said:
    message: str
    kind: str = ""
    code: str | None = None
    param: str | None = None


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, dialect: str, now_epoch_s: float) -> Failure:
    """The failure that an answer with a status other than 200 is."""
    said = _read_body(body) or _Said(f"the provider answered with status {status}")
    cause = _cause_of(status, said)
    return Failure(
        cause,
        status,
        said.message[:_SHOWN_CHARACTERS],
        said.kind,
        said.code,
        said.param,
        read_retry_after(headers, now_epoch_s) if cause in (Cause.RATE_LIMIT, Cause.UNAVAILABLE) else None,
        body,
        dialect,
    )


def read_event_failure(error: object, *, dialect: str, body: bytes = b"") -> Failure:
    """The failure that an error inside a stream, or inside an answer with status 200, is: as if it were a status."""
    said = _said_of(error) or _Said("the provider reported an error")
    status = _status_of(said)
    return Failure(
        _cause_of(status, said), status, said.message[:_SHOWN_CHARACTERS], said.kind, said.code, said.param, None,
        body, dialect,
    )  # fmt: skip


def network_failure(message: str) -> Failure:
    """Nothing of an answer came: not resolved, refused, reset."""
    return Failure(Cause.UNAVAILABLE, 503, message, "api_connection_error")


def broken_failure(message: str) -> Failure:
    """The answer ended early or makes no sense."""
    return Failure(Cause.BROKEN, 502, message, "api_error", "broken_answer")


def silent_failure(message: str) -> Failure:
    """The limit passed and nothing came."""
    return Failure(Cause.SILENT, 504, message, "timeout_error", "upstream_timeout")


def _cause_of(status: int, said: _Said) -> Cause:
    if status in (400, 403, 413, 422) and _is_filter(said):
        return Cause.FILTER
    if status in (400, 413, 422) and _is_context(said):
        return Cause.CONTEXT
    if status in (401, 402, 403):
        return Cause.KEY
    if status == 429:
        return Cause.RATE_LIMIT
    if status == 500:
        return Cause.SERVER
    return Cause.REFUSED if 400 <= status < 500 else Cause.UNAVAILABLE


def _is_context(said: _Said) -> bool:
    return "context_length_exceeded" in (said.code, said.kind) or bool(_CONTEXT.search(said.message))


def _is_filter(said: _Said) -> bool:
    return said.code in _FILTER_CODES or said.kind in _FILTER_CODES or bool(_FILTER.search(said.message))


def _status_of(said: _Said) -> int:
    for word in (said.code, said.kind):
        if word and word in _KIND_STATUS:
            return _KIND_STATUS[word]
        if word and word.isdigit() and 400 <= int(word) < 600:
            return int(word)
    return 502


def _read_body(body: bytes) -> _Said | None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return None
    return _said_of(document.get("error")) or _said_of(document)


def _said_of(error: object) -> _Said | None:
    if isinstance(error, str) and error:
        return _Said(error)
    if not isinstance(error, dict):
        return None
    message = _text(error, "message") or _text(error, "detail") or _text(error, "msg")
    if not message:
        return None
    code = error.get("code")
    return _Said(
        message, _text(error, "type"), str(code) if isinstance(code, str | int) else None, _text(error, "param") or None
    )


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""
