"""What was spent of each limit, from a gateway's report or an AgentType's status: both name the same fields."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent_api.budget.limits import LIMITS
from agentberth.console.view import LimitView

_MOST: Final = 64


def limits_of(budget: object) -> tuple[LimitView, ...]:
    """Those that are set; what cannot be read is left out."""
    entries = budget.get("limits") if isinstance(budget, dict) else None
    return tuple(_read(entries[:_MOST])) if isinstance(entries, list) else ()


def _read(entries: list[Any]) -> Iterator[LimitView]:
    for each in entries:
        if isinstance(each, Mapping) and each.get("name") in LIMITS:
            limit, spent = each.get("limit"), each.get("spent")
            if isinstance(limit, int | float) and isinstance(spent, int | float):
                yield LimitView(
                    each["name"], limit, spent, resets=str(each.get("resetsAt", "")), run=str(each.get("run", ""))
                )
