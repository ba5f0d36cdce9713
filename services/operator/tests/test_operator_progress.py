import pytest
from services.operator.tests.operator_objects import (
    FAILED,
    SUCCEEDED,
    Document,
    condition,
    deployment,
    job,
    pod,
    state,
)

from agent_operator.status.finding import Finding
from agent_operator.status.progress import LastRun, of_deployment, of_job, of_schedule, suspended

STALL = Finding("SecretMissing", "no secret")
CRASHED = pod(state("agent", terminated={"exitCode": 2}), metadata={"ownerReferences": []})


def test_deployment_that_is_not_there_yet() -> None:
    found = of_deployment(None, [], None)

    assert (found.phase, found.reason, found.settled) == ("Pending", "Progressing", False)


def test_deployment_with_all_pods_ready_is_settled() -> None:
    found = of_deployment(deployment(wanted=2, ready=2), [], None)

    assert (found.phase, found.reason, found.message) == ("Running", "Available", "2 of 2 Pods ready")
    assert (found.ready, found.replicas, found.settled, found.finding) == (2, 2, True, None)


@pytest.mark.parametrize(
    "status",
    [
        {"wanted": 2, "ready": 1},
        {"wanted": 1, "ready": 1, "replicas": 2},
        {"wanted": 2, "ready": 2, "updatedReplicas": 1},
        {"wanted": 1, "ready": 1, "generation": 2, "observed": 1},
    ],
    ids=["one-not-ready", "old-pod-left", "old-template", "not-seen-yet"],
)
def test_deployment_that_is_on_its_way_runs_but_is_not_settled(status: Document) -> None:
    found = of_deployment(deployment(**status), [], None)

    assert (found.phase, found.reason, found.settled) == ("Running", "Progressing", False)


def test_deployment_without_a_ready_pod_gives_the_first_reason_there_is() -> None:
    refused = condition("ReplicaFailure", message="exceeded quota: tight")

    assert of_deployment(deployment(conditions=[refused]), [CRASHED], STALL).finding == Finding(
        "QuotaExceeded", "exceeded quota: tight"
    )
    crashed = of_deployment(deployment(), [CRASHED], STALL)
    assert (crashed.phase, crashed.finding) == (
        "Failed",
        Finding("Crashing", "container agent: ended with exit code 2"),
    )
    stalled = of_deployment(deployment(), [], STALL)
    assert (stalled.phase, stalled.finding) == ("Pending", STALL)


def test_deployment_that_is_settled_has_no_fault_whatever_an_old_pod_says() -> None:
    assert of_deployment(deployment(wanted=1, ready=1), [CRASHED], None).finding is None


def test_deployment_scaled_to_nothing_is_settled_but_does_not_run() -> None:
    found = of_deployment(deployment(wanted=0), [], None)

    assert (found.phase, found.settled, found.message) == ("Pending", True, "0 of 0 Pods ready")


def test_suspended_wants_nothing() -> None:
    found = suspended(replicas=1)

    assert (found.phase, found.reason, found.replicas, found.settled) == ("Pending", "Suspended", 1, False)


def test_job_before_it_is_made() -> None:
    assert of_job(None, [], None, None).phase == "Pending"


def test_job_that_starts_and_runs() -> None:
    starting = of_job(job(active=1), [], None, None)
    assert (starting.phase, starting.settled, starting.replicas) == ("Pending", False, 1)

    runs = of_job(job(active=1, ready=1), [CRASHED], None, None)
    assert (runs.phase, runs.reason, runs.settled, runs.finding) == ("Running", "Available", True, None)


def test_job_that_cannot_start_says_why() -> None:
    crashed = of_job(job(active=1), [CRASHED], STALL, None)
    assert (crashed.phase, crashed.reason) == ("Pending", "Progressing")
    assert crashed.finding == Finding("Crashing", "container agent: ended with exit code 2")
    stalled = of_job(job(), [], STALL, None)
    assert (stalled.phase, stalled.finding) == ("Pending", STALL)


def test_job_whose_agent_has_ended_is_not_said_to_start() -> None:
    ended = state("worker", terminated={"exitCode": 0})
    kept_up = pod(ended, state("istio-proxy", ready=True, running={}))
    found = of_job(job(active=1), [kept_up], None, None, container="worker")
    assert found.message == (
        "the agent has ended, but container istio-proxy, which somebody added to the Pod, runs on: "
        "have it injected as an init container with restartPolicy Always"
    )
    assert (found.settled, found.finding) == (False, None)

    over = pod(ended, state("istio-proxy", terminated={"exitCode": 0}))
    found = of_job(job(active=1), [over], None, None, container="worker")
    assert found.message == "the agent has ended, but the Job does not count it yet"


@pytest.mark.parametrize("status", [{"waiting": {"reason": "PodInitializing"}}, {"running": {}}])
def test_job_whose_agent_has_not_ended_is_starting(status: Document) -> None:
    starting = pod(state("agent", **status), state("istio-proxy", ready=True, running={}))
    assert of_job(job(active=1), [starting], None, None).message == "the Job's Pod is starting"


def test_job_that_succeeded() -> None:
    found = of_job(job(**SUCCEEDED), [], None, None)

    assert (found.phase, found.reason, found.settled) == ("Succeeded", "Completed", True)
    assert found.last_run == LastRun("run", "Succeeded", "2026-01-01T00:05:00Z")


def test_job_that_failed_gives_the_cause_of_its_own_pod() -> None:
    owner = {"uid": "uid-run", "kind": "Job", "controller": True}
    own = pod(state("agent", terminated={"exitCode": 3}), metadata={"ownerReferences": [owner]})

    found = of_job(job(**FAILED), [CRASHED, own], None, None)

    assert (found.phase, found.reason) == ("Failed", "JobFailed")
    assert found.message == ("Job has reached the specified backoff limit: container agent: ended with exit code 3")
    assert found.last_run == LastRun("run", "Failed", "2026-01-01T00:06:00Z")


def test_job_that_failed_without_a_pod_left() -> None:
    assert of_job(job(**FAILED), [], None, None).message == "Job has reached the specified backoff limit"


def test_job_past_its_deadline() -> None:
    late = condition("Failed", reason="DeadlineExceeded", message="Job was active longer than specified deadline")

    found = of_job(job(conditions=[late]), [], None, None)

    assert (found.phase, found.reason) == ("Failed", "DeadlineExceeded")


@pytest.mark.parametrize("result, phase", [("Succeeded", "Succeeded"), ("Failed", "Failed")])
def test_job_that_was_cleaned_away_is_remembered(result: str, phase: str) -> None:
    last = LastRun("run", result, "2026-01-01T00:05:00Z")

    found = of_job(None, [], None, last)

    assert (found.phase, found.last_run) == (phase, last)


def test_schedule_between_runs() -> None:
    found = of_schedule([], [], None)

    assert (found.phase, found.reason, found.message) == ("Pending", "Scheduled", "no run has ended yet")
    assert found.settled


def test_schedule_runs_while_a_run_does() -> None:
    found = of_schedule([job("one", **SUCCEEDED), job("two", active=1, ready=1)], [], None)

    assert (found.phase, found.ready, found.replicas) == ("Running", 1, 1)
    assert found.last_run == LastRun("one", "Succeeded", "2026-01-01T00:05:00Z")


def test_schedule_is_as_its_last_run_was() -> None:
    newest = of_schedule([job("one", **SUCCEEDED), job("two", **FAILED)], [], None)
    assert (newest.phase, newest.message) == ("Failed", "last run two failed")

    remembered = LastRun("three", "Succeeded", "2026-01-01T00:07:00Z")
    assert of_schedule([job("two", **FAILED)], [], remembered).last_run == remembered


def test_schedule_whose_run_cannot_start_says_why() -> None:
    found = of_schedule([job("one", active=1)], [CRASHED], None)

    assert found.finding == Finding("Crashing", "container agent: ended with exit code 2")
    assert not found.settled


def test_fault_of_a_run_that_is_over_is_not_the_schedules() -> None:
    assert of_schedule([job("one", **FAILED)], [CRASHED], None).finding is None


def test_fault_of_a_run_that_is_over_is_not_that_of_the_present_one() -> None:
    owner = {"uid": "uid-one", "kind": "Job", "controller": True}
    old = pod(state("agent", terminated={"exitCode": 3}), name="old", metadata={"ownerReferences": [owner]})
    starting = pod(state("agent", waiting={"reason": "ContainerCreating"}), phase="Pending")

    found = of_schedule([job("one", **FAILED), job("two", active=1)], [starting, old], None)

    assert (found.finding, found.settled) == (None, True)


def test_last_run_as_the_status_has_it() -> None:
    assert LastRun("a", "Failed", "t").plain() == {"job": "a", "result": "Failed", "finishedAt": "t"}
