"""Classifies an error of a provider, such as a 429, as a `Cause`; `failover.decision` says what follows from it.

Providers word the same thing in many ways. Here, and only here, status, error type, code and message are turned
into a `Cause`; everything behind it works on causes alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.retry_after import read_retry_after
from agent_llmgateway.providererrors.subjects import SUBJECTS
from agent_llmgateway.surrogates import join_halves


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
    is_sent: bool = True
    """Whether the provider may have had the request."""


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
_STATUS_CAUSE: Final = {
    **dict.fromkeys((401, 402, 403), Cause.KEY),
    **dict.fromkeys((404, 405, 408, 409, 410, 421, 424, 425, 499, 501), Cause.UNSUITED),
    413: Cause.CONTEXT,
    429: Cause.RATE_LIMIT,
    500: Cause.SERVER,
}
"""For errors whose words say nothing more."""
_ERROR_STATUS: Final = re.compile("[45][0-9]{2}")
_TELLS_WAIT: Final = frozenset({Cause.RATE_LIMIT, Cause.UNAVAILABLE})
_LARGEST_CODE: Final = 1 << 63
"""Python does not write numbers of thousands of digits."""
_SHOWN_CHARACTERS: Final = 2000
"""Of a message. Its last word is left out when it is cut there: the beginning of a key is not known for one."""
_SEVERAL: Final = ("errors", "detail")
"""Where lists of errors are: the first one is read."""


@dataclass(frozen=True, slots=True)
class _Said:
    message: str
    kind: str = ""
    code: str | None = None
    param: str | None = None


def read_failure(status: int, headers: Mapping[str, str], body: bytes, *, dialect: str, now_epoch_s: float) -> Failure:
    """Classifies an answer with a status other than 200."""
    said = _read_body(body) or _Said(f"the provider answered with status {status}")
    cause = _cause_of(status, said)
    return Failure(
        cause,
        status,
        _shown(said.message),
        said.kind,
        said.code,
        said.param,
        read_retry_after(headers, now_epoch_s) if cause in _TELLS_WAIT else None,
        body,
        dialect,
    )


def read_event_failure(error: object, *, dialect: str, body: bytes = b"") -> Failure:
    """The failure that an error inside a stream, or inside an answer with status 200, is: as if it were a status."""
    said = _said_of(error) or _Said("the provider reported an error")
    status = _status_of(said)
    return Failure(
        _cause_of(status, said), status, _shown(said.message), said.kind, said.code, said.param, None,
        body, dialect,
    )  # fmt: skip


def network_failure(message: str, *, is_sent: bool = False) -> Failure:
    """Nothing of an answer came: not resolved, refused, reset. `is_sent`: the provider may have had the request."""
    return Failure(Cause.UNAVAILABLE, 503, message, "api_connection_error", is_sent=is_sent)


def broken_failure(message: str) -> Failure:
    """The answer ended early or makes no sense."""
    return Failure(Cause.BROKEN, 502, join_halves(message), "api_error", "broken_answer")


def silent_failure(message: str) -> Failure:
    """The limit passed and nothing came."""
    return Failure(Cause.SILENT, 504, message, "timeout_error", "upstream_timeout")


def _cause_of(status: int, said: _Said) -> Cause:
    for subject in SUBJECTS:
        if status in subject.statuses and subject.is_meant(said.message, said.code, said.kind):
            return Cause(subject.cause)
    return _STATUS_CAUSE.get(status, Cause.REFUSED if 400 <= status < 500 else Cause.UNAVAILABLE)


def _status_of(said: _Said) -> int:
    for word in (said.code, said.kind):
        if word and word in _KIND_STATUS:
            return _KIND_STATUS[word]
        if word and _ERROR_STATUS.fullmatch(word):
            return int(word)
    return 502


def _read_body(body: bytes) -> _Said | None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _said_in_text(body)
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return None
    return _said_of(document.get("error")) or _said_of(document)


def _said_of(error: object) -> _Said | None:
    if isinstance(error, str) and error:
        return _Said(join_halves(error))
    if not isinstance(error, dict):
        return None
    message = _text(error, "message") or _text(error, "detail") or _text(error, "msg")
    for several in _SEVERAL:
        inner = error.get(several)
        if not message and isinstance(inner, list) and inner and isinstance(inner[0], dict):
            error = inner[0]
            message = _text(error, "message") or _text(error, "detail") or _text(error, "msg")
    given, kind = error.get("code"), _text(error, "type")
    code = _code(given)
    if not message and not (code or kind):
        return None
    return _Said(message or f"the provider reported {code or kind}", kind, code, _text(error, "param") or None)


def _said_in_text(body: bytes) -> _Said | None:
    """A plain text, such as a proxy's; a page of HTML says nothing of use."""
    text = body[: 5 * _SHOWN_CHARACTERS].decode("utf-8", "replace").replace("\0", "").strip()
    return _Said(text) if text and not text.startswith("<") else None


def _shown(message: str) -> str:
    if len(message) <= _SHOWN_CHARACTERS:
        return message
    *words, _ = message[:_SHOWN_CHARACTERS].rsplit(maxsplit=1)
    return words[0] if len(words) == 1 else ""


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return join_halves(value) if isinstance(value, str) else ""


def _code(given: object) -> str | None:
    if isinstance(given, str):
        return join_halves(given)
    return str(given) if isinstance(given, int) and abs(given) < _LARGEST_CODE else None
