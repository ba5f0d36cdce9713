"""How soon an agent is looked at again without being asked.

Nothing in the cluster changes when a report does, or when a volume cannot be mounted.
"""

from typing import Final

from agent_api.agenttype import Reason
from agent_operator.status.approvals import POLL_S, asks
from agent_operator.status.conditions import Seen
from agent_operator.status.memorystatus import is_stopped
from agent_operator.status.podfaults import has_ended, is_starting
from agent_operator.status.reports import ReportReader
from agent_operator.status.stall import LOOK_AGAIN_S
from agent_render.parts.monitoring import wants_metrics

_AT_REST: Final = frozenset({Reason.SUSPENDED, Reason.RUN_LOST})


def next_look_s(seen: Seen, reports: ReportReader, *, resync_s: float, api_retry_s: float) -> float:
    """Seconds from this pass to the next. `resync_s` is the pause where nothing is awaited."""
    live = not all(map(has_ended, seen.pods))
    if live and asks(seen.agent):
        return min(POLL_S, resync_s)
    if is_stuck(seen) or (live and not seen.sidecars.settled):
        return min(LOOK_AGAIN_S, reports.refresh_s)
    if wants_metrics(seen.agent) and not seen.pod_monitors:
        return min(resync_s, api_retry_s)
    serving = live or (seen.agent.spec.memory is not None and not is_stopped(seen.agent))
    return min(resync_s, reports.pace_s) if serving and seen.sidecars.verdicts else resync_s


def is_stuck(seen: Seen) -> bool:
    """Whether Pods are wanted that do not come, of which events alone may say why."""
    progress = seen.progress
    over = progress.last_run is not None and not progress.replicas
    if progress.settled or over or progress.reason in _AT_REST:
        return False
    return any(map(is_starting, seen.pods)) or not seen.pods
