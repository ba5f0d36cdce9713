"""How far a workload is: what each of Deployment, Job and CronJob says about its agent."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent_api.agenttype import Phase, Reason
from agent_operator.objects import DeploymentObject, JobObject, PodObject, StatusCondition
from agent_operator.status.finding import Finding, refused_pods
from agent_operator.status.podfaults import explain


@dataclass(frozen=True)
class LastRun:
    """The end of a Job: kept in the status after the Job is cleaned away."""

    job: str
    result: str
    finished_at: str

    def plain(self) -> dict[str, str]:
        """As the status has it."""
        return {"job": self.job, "result": self.result, "finishedAt": self.finished_at}


@dataclass(frozen=True)
class Progress:
    """Where the agent stands. `ready` of `wanted` Pods; `finding` is why it is not all of them."""

    phase: Phase
    reason: str
    message: str
    ready: int = 0
    replicas: int = 0
    settled: bool = False
    """True when nothing more is wanted than what is."""
    finding: Finding | None = None
    last_run: LastRun | None = None


def suspended(replicas: int) -> Progress:
    """Nothing is to run."""
    return Progress("Pending", Reason.SUSPENDED, "suspended: no Pods are wanted", replicas=replicas)


def of_deployment(
    live: DeploymentObject | None,
    pods: Sequence[PodObject],
    stall: Finding | None,
    *,
    wanted: int = 1,
    autoscaler: str = "",
) -> Progress:
    """Running as soon as one Pod is ready; settled when all are, of the present template.

    `wanted` is what the spec asks for, until the Deployment says it: the same words for as long, or each start would
    cost one more write. `autoscaler`: somebody else's, which decides the number.
    """
    if live is None:
        return Progress("Pending", Reason.PROGRESSING, f"0 of {wanted} Pods ready")
    wanted, status = live.spec.replicas, live.status
    current = status.observed_generation >= live.metadata.generation
    settled = current and status.ready_replicas == status.updated_replicas == status.replicas == wanted
    fault = _refusal(status.conditions, "ReplicaFailure") or _first_fault(pods) or stall or _paused(live)
    finding = None if settled else fault
    phase: Phase = "Running" if status.ready_replicas else "Failed" if finding and finding.failing else "Pending"
    decides = f"; HorizontalPodAutoscaler {autoscaler} decides their number" if autoscaler else ""
    message = f"{status.ready_replicas} of {wanted} Pods ready{decides}"
    reason = Reason.AVAILABLE if settled else Reason.PROGRESSING
    return Progress(phase, reason, message, status.ready_replicas, status.replicas, settled=settled, finding=finding)


def lost(job: str) -> Progress:
    """A Job that was let start and is gone, with nobody there to see its end."""
    fault = Finding(Reason.RUN_LOST, f"Job {job} was deleted before its end was seen; it is not run again")
    return Progress("Failed", fault.reason, fault.message, finding=fault)


def of_job(
    live: JobObject | None,
    pods: Sequence[PodObject],
    stall: Finding | None,
    last: LastRun | None,
    *,
    container: str = "agent",
) -> Progress:
    """Succeeded or Failed as the Job says, which may try again after a crash; Running when its Pod is ready.

    `container` is the agent's name in its Pods.
    """
    if live is None and last is not None:
        return _finished(last, Finding(Reason.JOB_FAILED, f"Job {last.job} failed"))
    if live is None:
        return Progress("Pending", Reason.PROGRESSING, "the Job is being created")
    run = last_run(live)
    if run is not None:
        return _finished(run, _job_fault(live, pods))
    finding = _first_fault(pods) or stall
    phase: Phase = "Running" if live.status.ready else "Pending"
    settled = live.status.ready > 0
    message = "the Job's Pod runs" if settled else _awaited(pods, container)
    reason = Reason.AVAILABLE if settled else Reason.PROGRESSING
    finding = None if settled else finding
    return Progress(phase, reason, message, live.status.ready, live.status.active, settled=settled, finding=finding)


def of_schedule(jobs: Sequence[JobObject], pods: Sequence[PodObject], last: LastRun | None) -> Progress:
    """Running while a run is; else as the last run ended. Between runs all is well."""
    ended = [run for run in map(last_run, jobs) if run is not None]
    last = max((*ended, *([last] if last else [])), key=lambda run: run.finished_at, default=None)
    active = [job for job in jobs if last_run(job) is None]
    ready = sum(job.status.ready for job in active)
    over = {job.metadata.uid for job in jobs if last_run(job) is not None}
    present = [pod for pod in pods if pod.metadata.controller_uid not in over]
    finding = _first_fault(present) if active and not ready else None
    message = f"last run {last.job} {last.result.lower()}" if last else "no run has ended yet"
    phase: Phase = "Running" if ready else last.result if last else "Pending"  # type: ignore[assignment]
    replicas = sum(job.status.active for job in active)
    return Progress(
        phase, Reason.SCHEDULED, message, ready, replicas, settled=finding is None, finding=finding, last_run=last
    )


def last_run(job: JobObject) -> LastRun | None:
    """How `job` ended, None while it has not."""
    for condition in job.status.conditions:
        if condition.status == "True" and condition.type in {"Complete", "Failed"}:
            result = "Succeeded" if condition.type == "Complete" else "Failed"
            return LastRun(job.metadata.name, result, job.status.completion_time or condition.last_transition_time)
    return None


def _finished(run: LastRun, fault: Finding) -> Progress:
    if run.result == "Succeeded":
        return Progress("Succeeded", Reason.COMPLETED, f"Job {run.job} succeeded", settled=True, last_run=run)
    return Progress("Failed", fault.reason, fault.message, finding=fault, last_run=run)


def _job_fault(live: JobObject, pods: Sequence[PodObject]) -> Finding:
    failed = next((c for c in live.status.conditions if c.type == "Failed"), None)
    if failed is not None and failed.reason == "DeadlineExceeded":
        return Finding(Reason.DEADLINE_EXCEEDED, failed.message)
    own = [pod for pod in pods if pod.metadata.controller_uid == live.metadata.uid]
    cause = _first_fault(own)
    detail = failed.message if failed else "the Job failed"
    return Finding(Reason.JOB_FAILED, f"{detail}: {cause.message}" if cause else detail)


def _awaited(pods: Sequence[PodObject], agent: str) -> str:
    """Why no Pod of a Job is ready: the newest one is on its way, or its agent has ended."""
    statuses = pods[0].status.container_statuses if pods else ()
    if not any(each.name == agent and each.state.terminated for each in statuses):
        return "the Job's Pod is starting"
    running = [each.name for each in statuses if not (each.state.waiting or each.state.terminated)]
    if not running:
        return "the agent has ended, but the Job does not count it yet"
    return (
        f"the agent has ended, but container {running[0]}, which somebody added to the Pod, runs on: "
        "have it injected as an init container with restartPolicy Always"
    )


def _first_fault(pods: Sequence[PodObject]) -> Finding | None:
    return next((finding for finding in map(explain, pods) if finding), None)


def _paused(live: DeploymentObject) -> Finding | None:
    text = f"the rollout of Deployment {live.metadata.name} is paused"
    return Finding(Reason.ROLLOUT_PAUSED, text) if live.spec.paused else None


def _refusal(conditions: Sequence[StatusCondition], kind: str) -> Finding | None:
    found = next((c for c in conditions if c.type == kind and c.status == "True"), None)
    return refused_pods(found.message) if found else None
