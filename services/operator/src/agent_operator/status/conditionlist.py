"""Builds `status.conditions` from verdicts; a time of transition stays while its status does.

Decides nothing: that is `conditions`, and `sidecars`, `preparation` and `memorystatus` for theirs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from agent_api.agenttype import ConditionType

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Verdict:
    """What one condition says now."""

    type: ConditionType
    status: Truth
    reason: str
    message: str = ""


def conditions(
    verdicts: Iterable[Verdict], previous: Iterable[Mapping[str, Any]], *, generation: int, now: str
) -> list[dict[str, Any]]:
    """The list for the status, in the order of `verdicts`.

    `previous` are the conditions the server has; a time moves only when a status does. `now` is RFC 3339.
    """
    known = {entry["type"]: entry for entry in previous}
    return [_condition(verdict, known.get(verdict.type, {}), generation, now) for verdict in verdicts]


def _condition(verdict: Verdict, before: Mapping[str, Any], generation: int, now: str) -> dict[str, Any]:
    same = before.get("status") == verdict.status
    return {
        "type": str(verdict.type),
        "status": verdict.status,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"] if same else now,
        "reason": str(verdict.reason),
        "message": verdict.message,
    }
