"""Maps what the API server rejects to a reason and a message."""

from agent_api.agenttype import Reason
from agent_kube import Applied, Conflict, Forbidden, HotLoopError, KubeError, Occupied, Terminal, Unreachable
from agent_operator.status.finding import Finding

TRANSIENT = (Conflict, Unreachable)
"""Errors that the next try ends, as a rule: worth a word only when they come again."""


def refusal_of(applied: Applied) -> Finding | None:
    """The first child that the server did not take."""
    if not applied.refused:
        return None
    refusal = applied.refused[0]
    return Finding(_reason(refusal.error), f"{refusal.kind} {refusal.key.name}: {refusal.error}")


def contest_of(applied: Applied) -> Finding | None:
    """The first child that somebody else keeps changing, with who it is."""
    if not applied.contested:
        return None
    first = applied.contested[0]
    manager, times = first.contest.manager, first.contest.times
    text = f"{first.kind} {first.key.name}: {manager} changed what the operator sets {times} times in ten minutes"
    return Finding(Reason.CONTESTED, f"{text}; remove the object, or the field, from what {manager} writes")


def failed_pass(error: Exception) -> Finding:
    """Why a pass did not come to its end. Of an error that is not the API server's only the type is told."""
    if isinstance(error, HotLoopError):
        return Finding(Reason.HOT_LOOP, str(error))
    if isinstance(error, KubeError):
        return Finding(_reason(error), str(error))
    return Finding(Reason.NOT_READY, f"the operator failed ({type(error).__name__}) and tries again: see its log")


def _reason(error: KubeError) -> Reason:
    if isinstance(error, Forbidden):
        return Reason.QUOTA_EXCEEDED if "exceeded quota" in str(error) else Reason.FORBIDDEN
    if isinstance(error, Occupied):
        return Reason.NAME_CONFLICT
    return Reason.APPLY_REFUSED if isinstance(error, Terminal) else Reason.NOT_READY
