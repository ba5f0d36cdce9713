"""Step 1: agents that end: Job and CronJob."""

import asyncio
import copy

import pytest
from integration.api import AGENTS, Document
from integration.kubelet import ON_HAND, Kubelet, ended, running
from integration.namespace import NGINX, Namespace, condition
from integration.operating import Hire
from integration.waiting import eventually, throughout

pytestmark = pytest.mark.step1

JOB = {"kind": "Job", "backoffLimit": 0}
CRON = {"kind": "CronJob", "schedule": "0 3 * * *"}


async def test_job_that_succeeds(namespace: Namespace) -> None:
    await namespace.create("census", workload=JOB)

    agent = await namespace.reaches("census", "Succeeded", ready="True")

    (job,) = await namespace.api.list("jobs")
    assert agent["status"]["reason"] == "Completed"
    assert agent["status"]["lastRun"]["job"] == job["metadata"]["name"]
    assert agent["status"]["lastRun"]["result"] == "Succeeded"
    assert agent["status"]["lastRun"]["finishedAt"] == job["status"]["completionTime"]


async def test_job_runs_and_fails_with_the_cause(namespace: Namespace, kubelet: Kubelet) -> None:
    await namespace.create("doomed", workload=JOB, resources=ON_HAND)
    (pod,) = await namespace.has_pods("doomed")
    name = await kubelet.take(pod)
    await kubelet.report(name, "Running", main={"agent": running()}, ready=True)
    await namespace.reaches("doomed", "Running", ready="True")

    await kubelet.report(name, "Failed", main={"agent": ended(3)})

    agent = await namespace.reaches("doomed", "Failed", ready="False")
    assert agent["status"]["reason"] == "JobFailed"
    assert "container agent: ended with exit code 3" in agent["status"]["message"]
    assert agent["status"]["lastRun"]["result"] == "Failed"


async def test_job_past_its_deadline(namespace: Namespace, kubelet: Kubelet) -> None:
    await namespace.create("slow", workload={**JOB, "activeDeadlineSeconds": 1}, resources=ON_HAND)
    (pod,) = await namespace.has_pods("slow")
    name = await kubelet.take(pod)
    await kubelet.report(name, "Running", main={"agent": running()}, ready=True)
    await kubelet.let_go(name)

    agent = await namespace.reaches("slow", "Failed")

    assert agent["status"]["reason"] == "DeadlineExceeded"


async def test_job_that_is_cleaned_away_is_not_run_again(own_namespace: Namespace, hire: Hire) -> None:
    operator = hire(own_namespace, "--leader-election=false", "--resync-s", "1")
    await own_namespace.create("brief", workload={**JOB, "ttlSecondsAfterFinished": 0})
    await own_namespace.reaches("brief", "Succeeded")

    async def cleaned() -> bool:
        return await own_namespace.api.list("jobs") == []

    await eventually(cleaned)
    operator.kill()
    operator.start()
    await operator.ready()

    async def no_run() -> None:
        assert await own_namespace.api.list("jobs") == []
        assert (await own_namespace.agent("brief"))["status"]["phase"] == "Succeeded"

    await throughout(no_run, for_s=2.5)
    assert await operator.metric("controller_runtime_reconcile_total") >= 2


async def test_edit_of_a_job_runs_it_again(namespace: Namespace) -> None:
    await namespace.create("census", workload=JOB)
    first = (await namespace.reaches("census", "Succeeded"))["status"]["lastRun"]["job"]

    await namespace.edit("census", agent={"image": "nginx:1.28"})

    async def second_run() -> bool:
        agent = await namespace.reaches("census", "Succeeded")
        jobs = [job["metadata"]["name"] for job in await namespace.api.list("jobs")]
        return agent["status"]["lastRun"]["job"] != first and first not in jobs

    await eventually(second_run)


async def test_suspended_job_waits_and_resumes(namespace: Namespace) -> None:
    await namespace.create("patient", workload=JOB, suspend=True)
    agent = await namespace.says("patient", "Suspended")
    assert agent["status"]["phase"] == "Pending"
    (job,) = await namespace.api.list("jobs")
    assert job["spec"]["suspend"] is True
    assert await namespace.pods("patient") == []

    await namespace.edit("patient", suspend=False)

    await namespace.reaches("patient", "Succeeded")
    (same,) = await namespace.api.list("jobs")
    assert same["metadata"]["uid"] == job["metadata"]["uid"]


async def test_running_job_is_suspended_and_resumed(namespace: Namespace, kubelet: Kubelet) -> None:
    await namespace.create("patient", workload=JOB, resources=ON_HAND)
    (pod,) = await namespace.has_pods("patient")
    await kubelet.report(await kubelet.take(pod), "Running", main={"agent": running()}, ready=True)
    await namespace.reaches("patient", "Running")

    await namespace.edit("patient", suspend=True)
    await namespace.has_pods("patient", 0)
    await namespace.says("patient", "Suspended")

    await namespace.edit("patient", suspend=False)
    await namespace.has_pods("patient", 1)


async def run_now(namespace: Namespace, name: str, run: str) -> None:
    """`kubectl create job --from=cronjob/NAME`."""
    schedule = await namespace.finds("cronjobs", name)
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "controller": True}
    template = copy.deepcopy(schedule["spec"]["jobTemplate"])
    metadata: Document = {
        "name": run,
        "labels": template["metadata"]["labels"],
        "ownerReferences": [{**owner, "uid": schedule["metadata"]["uid"]}],
    }
    await namespace.api.create(
        "jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]}
    )


async def test_schedule_says_how_the_last_run_ended(namespace: Namespace) -> None:
    await namespace.create("sweeper", workload=CRON)
    agent = await namespace.reaches("sweeper", "Pending", ready="True")
    assert (agent["status"]["reason"], agent["status"]["message"]) == ("Scheduled", "no run has ended yet")

    await run_now(namespace, "sweeper", "sweeper-1")

    agent = await namespace.reaches("sweeper", "Succeeded", ready="True")
    assert agent["status"]["lastRun"]["job"] == "sweeper-1"
    assert agent["status"]["message"] == "last run sweeper-1 succeeded"


async def test_failed_run_of_a_schedule_is_told_and_forgotten_with_the_next(
    namespace: Namespace, kubelet: Kubelet
) -> None:
    await namespace.create("sweeper", workload={**CRON, "backoffLimit": 0}, resources=ON_HAND)
    await run_now(namespace, "sweeper", "sweeper-1")
    (pod,) = await namespace.has_pods("sweeper")
    name = await kubelet.take(pod)
    await kubelet.report(name, "Running", main={"agent": running()}, ready=True)
    await namespace.reaches("sweeper", "Running")
    await kubelet.report(name, "Failed", main={"agent": ended(1)})
    agent = await namespace.reaches("sweeper", "Failed")
    assert agent["status"]["lastRun"]["result"] == "Failed"

    await asyncio.sleep(1.1)  # times of ends are in whole seconds
    await run_now(namespace, "sweeper", "sweeper-2")

    async def second_pod() -> Document | None:
        return next(
            (p for p in await namespace.pods("sweeper") if p["metadata"]["labels"]["job-name"] == "sweeper-2"), None
        )

    pod = await eventually(second_pod)
    name = await kubelet.take(pod)
    await kubelet.report(name, "Succeeded", main={"agent": ended(0)})
    agent = await namespace.reaches("sweeper", "Succeeded")
    assert agent["status"]["lastRun"]["job"] == "sweeper-2"


async def test_suspended_schedule_starts_nothing(namespace: Namespace) -> None:
    await namespace.create("sweeper", workload=CRON)
    await namespace.reaches("sweeper", "Pending", ready="True")

    await namespace.edit("sweeper", suspend=True)
    await namespace.says("sweeper", "Suspended")
    assert (await namespace.finds("cronjobs", "sweeper"))["spec"]["suspend"] is True

    await namespace.edit("sweeper", suspend=False)
    await namespace.says("sweeper", "Scheduled")
    assert (await namespace.finds("cronjobs", "sweeper"))["spec"]["suspend"] is False


async def test_children_of_a_job_go_with_it(namespace: Namespace) -> None:
    await namespace.create(
        "census", agent={**NGINX, "environment": {"files": [{"path": "a", "content": "b"}]}}, workload=JOB
    )
    agent = await namespace.reaches("census", "Succeeded")
    assert condition(agent, "Available")["status"] == "False"

    await namespace.api.delete(AGENTS, "census")

    async def gone() -> bool:
        return await namespace.children("census") == {} and await namespace.api.list("pods") == []

    await eventually(gone)
