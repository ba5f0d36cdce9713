"""Which of the rendered children are applied, and which are only kept: a Job is made once and never changed."""

from dataclasses import dataclass

from agent_kube import Client, Manifest, ObjectKey, Request, Stores
from agent_operator.sources import CLAIMS, JOBS, RUNS, JobObject
from agent_operator.status.progress import LastRun, last_run


@dataclass(frozen=True)
class Children:
    """`apply` is sent, `keep` is not pruned."""

    apply: tuple[Manifest, ...]
    keep: tuple[Manifest, ...]


def choose(rendered: tuple[Manifest, ...], stores: Stores, last: LastRun | None) -> Children:
    """Everything is applied, but a Job that exists, or that ended and was cleaned away since."""
    apply = tuple(_as_made(m, stores) for m in rendered if m["kind"] != "Job" or not _made_before(m, stores, last))
    return Children(apply, rendered)


def live_job(rendered: tuple[Manifest, ...], stores: Stores) -> JobObject | None:
    """The Job of this spec, when it exists."""
    job = next((m for m in rendered if m["kind"] == "Job"), None)
    return stores[RUNS].get(_key(job)) if job else None


async def follow_suspend(client: Client, request: Request, live: JobObject, *, suspend: bool, manager: str) -> None:
    """Suspends or resumes a Job that has not ended; its template stays as it was made."""
    if live.spec.suspend == suspend or last_run(live) is not None:
        return
    await client.patch(JOBS, live.key, {"spec": {"suspend": suspend}}, field_manager=manager)
    request.writes.count += 1


def _as_made(manifest: Manifest, stores: Stores) -> Manifest:
    """A claim as it was made: its class and access modes are fixed, and whether it can grow depends on the class."""
    live = stores[CLAIMS].get(_key(manifest)) if manifest["kind"] == "PersistentVolumeClaim" else None
    if live is None:
        return manifest
    made = {
        "accessModes": list(live.spec.access_modes),
        "resources": {"requests": {"storage": live.spec.size}},
        **({"storageClassName": live.spec.storage_class_name} if live.spec.storage_class_name else {}),
    }
    return {**manifest, "spec": made}


def _made_before(manifest: Manifest, stores: Stores, last: LastRun | None) -> bool:
    exists = stores[RUNS].get(_key(manifest)) is not None
    return exists or (last is not None and last.job == manifest["metadata"]["name"])


def _key(manifest: Manifest) -> ObjectKey:
    return ObjectKey(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
