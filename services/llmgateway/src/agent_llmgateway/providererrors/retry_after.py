"""How long a provider asks to be left alone.

Every provider says it differently, and a wait that is read wrongly is either a hammering or an outage of our
own making. So: each known form is read, and what is junk, negative or in the past means that nothing was said.
"""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_S: Final = 86_400.0
"""A told wait is believed up to a day."""

_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|us|µs|ns|[smhd]))+")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|[smhd])")
_UNIT_S: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_EPOCH_S: Final = 1e9  # a larger number is a moment, not a span: 31 years are no rate limit
_EPOCH_MS: Final = 1e12


def read_retry_after(headers: Mapping[str, str], now_epoch_s: float) -> float | None:
    """Seconds to wait, 0 to `LONGEST_S`; None when the headers say nothing that can be used.

    `headers` are looked up as given: pass a case-insensitive mapping, or lower-case names.
    """
    told = (
        _read_ms(headers.get("retry-after-ms")),
        _read_seconds_or_date(headers.get("retry-after"), now_epoch_s),
        _read_reset(headers.get("x-ratelimit-reset"), now_epoch_s),
        _read_window(headers, now_epoch_s),
    )
    first = next((wait_s for wait_s in told if wait_s is not None), None)
    return None if first is None else min(first, LONGEST_S)


def _read_ms(text: str | None) -> float | None:
    number = _number(text)
    return None if number is None else number / 1000


def _read_seconds_or_date(text: str | None, now_epoch_s: float) -> float | None:
    if text is None:
        return None
    number = _number(text)
    if number is not None:
        return number
    try:
        moment = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _ahead(moment.timestamp(), now_epoch_s)


def _read_reset(text: str | None, now_epoch_s: float) -> float | None:
    """Seconds, an epoch in seconds or milliseconds, or a duration such as `2m30s`."""
    number = _number(text)
    if number is None:
        return _duration(text)
    if number >= _EPOCH_MS:
        return _ahead(number / 1000, now_epoch_s)
    return _ahead(number, now_epoch_s) if number >= _EPOCH_S else number


def _read_window(headers: Mapping[str, str], now_epoch_s: float) -> float | None:
    """The longer of the two windows; only that of the exhausted one when the provider says which it is."""
    waits = {}
    for window in ("requests", "tokens"):
        wait_s = _read_reset(headers.get(f"x-ratelimit-reset-{window}"), now_epoch_s)
        if wait_s is not None:
            waits[window] = wait_s
    spent = {w: s for w, s in waits.items() if _number(headers.get(f"x-ratelimit-remaining-{w}")) == 0}
    return max((spent or waits).values(), default=None)


def _number(text: str | None) -> float | None:
    stripped = (text or "").strip()
    return float(stripped) if len(stripped) <= 32 and _NUMBER.fullmatch(stripped) else None


def _duration(text: str | None) -> float | None:
    stripped = (text or "").strip()
    if len(stripped) > 64 or not _DURATION.fullmatch(stripped):
        return None
    return sum(float(amount) * _UNIT_S[unit] for amount, unit in _PART.findall(stripped))


def _ahead(moment_epoch_s: float, now_epoch_s: float) -> float | None:
    return moment_epoch_s - now_epoch_s if moment_epoch_s > now_epoch_s else None
