"""How soon an agent is looked at again."""

from typing import Any

import pytest
from services.operator.tests.operator_objects import FAILED, Document, agent, job, pod, state

from agent_api.agenttype import ConditionType, Reason
from agent_operator.pace import is_stuck, next_look_s
from agent_operator.status.approvals import POLL_S
from agent_operator.status.conditionlist import Verdict
from agent_operator.status.conditions import Seen
from agent_operator.status.progress import Progress, lost, of_job, suspended
from agent_operator.status.reports import ReportReader
from agent_operator.status.sidecars import Sidecars
from agent_operator.status.stall import LOOK_AGAIN_S

RESYNC_S = 3600.0
WAITING = Sidecars((Verdict(ConditionType.GATEWAY_READY, "Unknown", Reason.PROGRESSING, "no report"),))
ASKS: Document = {"required": ["jq"], "policy": {"rules": [{"tools": ["*"], "action": "ask"}]}}


def seen(progress: Progress, *phases: str, sidecars: Sidecars = WAITING, **spec: Any) -> Seen:
    pods = [pod(state("agent"), name=f"p{number}", phase=phase) for number, phase in enumerate(phases)]
    return Seen(agent(**spec), progress, pods, sidecars)


def pause_s(found: Seen) -> float:
    return next_look_s(found, ReportReader(refresh_s=300), resync_s=RESYNC_S, api_retry_s=RESYNC_S)


def test_a_job_without_a_pod_is_stuck() -> None:
    found = seen(of_job(job(), [], None, None))
    assert is_stuck(found)
    assert pause_s(found) == LOOK_AGAIN_S


@pytest.mark.parametrize(
    "progress",
    [suspended(replicas=0), lost("run"), of_job(job(**FAILED), [], None, None)],
    ids=["suspended", "lost", "failed"],
)
def test_what_wants_no_pods_is_looked_at_when_something_changes(progress: Progress) -> None:
    found = seen(progress)
    assert not is_stuck(found)
    assert pause_s(found) == RESYNC_S


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_no_report_is_awaited_of_pods_that_have_ended(phase: str) -> None:
    failed = of_job(job(**FAILED), [], None, None)
    assert pause_s(seen(failed, phase, phase)) == RESYNC_S
    assert pause_s(seen(failed, phase, "Running")) == LOOK_AGAIN_S


def test_proxies_are_asked_for_approvals_only_while_a_pod_lives() -> None:
    scheduled = Progress("Running", Reason.SCHEDULED, "", settled=True)
    assert pause_s(seen(scheduled, "Succeeded", "Running", tools=ASKS)) == POLL_S
    assert pause_s(seen(scheduled, "Succeeded", "Failed", tools=ASKS)) == RESYNC_S
