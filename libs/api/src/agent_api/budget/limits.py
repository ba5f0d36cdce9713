"""The limits that a budget can have: what each counts, and the window it counts in.

Amounts are whole numbers, tokens or millionths of a dollar, so that they add up the same everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

MICRO: Final = 1_000_000
_MONTHS: Final = 12
_LENGTHS_S: Final = {"hour": 3600, "day": 86_400}

Unit = Literal["tokens", "microUSD"]
Window = Literal["hour", "day", "month", "run"]
"""Hour, day and month are of UTC. A run is a Job with all of its Pods, or one `agentberth run`."""


@dataclass(frozen=True)
class LimitKind:
    """What a limit counts. `field` is its name in Python, `words` what a person reads after the amount."""

    unit: Unit
    window: Window
    field: str
    words: str


LIMITS: Final[Mapping[str, LimitKind]] = MappingProxyType(
    {
        f"{unit}Per{window.capitalize()}": LimitKind(
            "tokens" if unit == "tokens" else "microUSD", window, f"{unit}_per_{window}", f"{words} per {window}"
        )
        for unit, words in (("tokens", "tokens"), ("usd", "USD"))
        for window in ("hour", "day", "month", "run")
    }
)
"""By the name that a manifest has for them: tokensPerHour, usdPerDay and so on."""


def amounts_of(budget: Any) -> dict[str, int]:  # noqa: ANN401 - the AgentType's model or the gateway's
    """The limits that are set in `budget`, by name."""
    found = {name: getattr(budget, kind.field) for name, kind in LIMITS.items()}
    return {name: _amount(LIMITS[name], value) for name, value in found.items() if value is not None}


def _amount(kind: LimitKind, value: float) -> int:
    return int(value) if kind.unit == "tokens" else max(1, round(value * MICRO))


def show_amount(kind: LimitKind, amount: int) -> str:
    """An amount as a person reads it: 12400, or 1.25."""
    return str(amount) if kind.unit == "tokens" else f"{amount / MICRO:.2f}"


def window_at(window: Window, now_epoch_s: float) -> int:
    """The number of the window that a moment is in; a run has one only."""
    if window == "run":
        return 0
    if window == "month":
        date = datetime.fromtimestamp(now_epoch_s, UTC)
        return date.year * _MONTHS + date.month - 1
    return int(now_epoch_s // _LENGTHS_S[window])


def window_start(window: Window, number: int) -> float:
    """When a window begins, in seconds of the epoch; a run began before everything."""
    if window == "run":
        return 0.0
    if window == "month":
        return datetime(number // _MONTHS, number % _MONTHS + 1, 1, tzinfo=UTC).timestamp()
    return float(number * _LENGTHS_S[window])


def window_end(window: Window, number: int) -> float | None:
    """When a window ends; None for a run, which ends with its Job."""
    return None if window == "run" else window_start(window, number + 1)
