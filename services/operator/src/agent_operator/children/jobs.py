"""A Job runs once for one spec, whatever happens to the operator and to the Job meanwhile.

It is created suspended; once it is seen its name is put into the status, and only then it may start: a Job whose name
is in the status and that does not exist has run. It gets its time to live when its end is in the status, so the end is
always seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_kube import Client, Manifest, ObjectKey, Request, Stores
from agent_operator.children.claims import as_made
from agent_operator.objects import JobObject
from agent_operator.sources import JOB_SOURCE, JOBS
from agent_operator.status.progress import LastRun, last_run

_TTL = "ttlSecondsAfterFinished"


@dataclass(frozen=True)
class Runs:
    """What the status remembers: the Job that was let start, and the one whose end was seen."""

    started: str = ""
    last: LastRun | None = None

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> "Runs":
        """From the status that the server has."""
        found = status.get("lastRun")
        last = LastRun(found["job"], found["result"], found["finishedAt"]) if found else None
        return cls(status.get("startedJob", ""), last)

    def had(self, job: str) -> bool:
        """Whether `job` was let start, or has ended."""
        return job == self.started or (self.last is not None and self.last.job == job)


def choose(rendered: tuple[Manifest, ...], stores: Stores, runs: Runs) -> tuple[Manifest, ...]:
    """What is applied: everything but a Job that exists or has run already; a new one does not start yet."""
    wanted = (m for m in rendered if m["kind"] != "Job" or not (_find(m, stores) or runs.had(_name(m))))
    return tuple(_held(m) if m["kind"] == "Job" else as_made(m, stores) for m in wanted)


def job_of(rendered: tuple[Manifest, ...]) -> Manifest | None:
    """The Job that the spec asks for."""
    return next((m for m in rendered if m["kind"] == "Job"), None)


def live_job(rendered: tuple[Manifest, ...], stores: Stores) -> JobObject | None:
    """The Job of this spec, when it exists."""
    job = job_of(rendered)
    return _find(job, stores) if job else None


def started_job(job: Manifest | None, live: JobObject | None, runs: Runs, *, may_start: bool) -> str:
    """The name for the status: of the Job that may start from now on, or that started before.

    What was sent is not enough: a Job counts once the cache shows it.
    """
    if job is None:
        return ""
    starts = live is not None and may_start and not job["spec"]["suspend"]
    return _name(job) if starts or runs.started == _name(job) else ""


async def advance_job(  # noqa: PLR0913 - one call a pass
    client: Client, request: Request, job: Manifest, live: JobObject, runs: Runs, *, may_start: bool, manager: str
) -> None:
    """Starts, suspends or resumes `live`, or lets it be cleaned away; its template stays as it was made.

    Without `may_start` it does what needs no fence: it suspends, and lets be cleaned away.
    """
    change: dict[str, Any] = {}
    name, suspend = live.metadata.name, job["spec"]["suspend"]
    if last_run(live) is not None:
        if runs.last is not None and runs.last.job == name and live.spec.ttl_seconds_after_finished is None:
            change[_TTL] = job["spec"][_TTL]
    elif live.spec.suspend != suspend and (suspend or (may_start and runs.started == name)):
        change["suspend"] = suspend
    if change:
        await client.patch(JOBS, live.key, {"spec": change}, field_manager=manager)
        request.writes.count += 1


def _held(job: Manifest) -> Manifest:
    spec = {name: value for name, value in job["spec"].items() if name != _TTL}
    return {**job, "spec": {**spec, "suspend": True}}


def _find(job: Manifest, stores: Stores) -> JobObject | None:
    return stores[JOB_SOURCE].get(ObjectKey(job["metadata"]["namespace"], _name(job)))


def _name(job: Manifest) -> str:
    name: str = job["metadata"]["name"]
    return name
