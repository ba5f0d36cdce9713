"""One pass over one AgentType: read caches, render, apply what differs, prune, look, say it in one status.

Each step is a method; what they find is collected in `Seen`, and `summary` alone turns it into a status.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from agent_api import layout
from agent_api.agenttype import Reason
from agent_kube import (
    Applied,
    Applier,
    Client,
    Done,
    EventRecorder,
    Forbidden,
    HotLoopError,
    ObjectKey,
    Occupied,
    Outcome,
    Request,
    RequeueAfter,
    Stores,
    Terminal,
)
from agent_operator.agentstates import AgentStates
from agent_operator.children.keys import KeyRing
from agent_operator.children.selection import choose, follow_suspend, live_job
from agent_operator.children.specs import Parsed, SpecReader
from agent_operator.sources import (
    AGENT_TYPES,
    AGENTS,
    CHILDREN,
    DEPLOYED,
    MONITORED,
    PODS_OF_AGENTS,
    RUNS,
    AgentObject,
    PodObject,
)
from agent_operator.status.finding import Finding
from agent_operator.status.memory import MemoryKeeper, refuse
from agent_operator.status.podfaults import is_starting, newest
from agent_operator.status.progress import LastRun, Progress, of_deployment, of_job, of_schedule, suspended
from agent_operator.status.reports import ReportReader
from agent_operator.status.sidecars import look
from agent_operator.status.stall import LOOK_AGAIN_S, StallFinder
from agent_operator.status.summary import Seen, hold_status, invalid_status, status_of
from agent_operator.status.toolpins import PinKeeper
from agent_render import PlatformSettings
from agent_render.identity import AGENT_LABEL, COMPONENT_LABEL, RETAINED
from agent_render.monitoring import wants_metrics
from agent_render.posture import weaknesses

FIELD_MANAGER = "agentberth/operator"
APPLIED_MARK = "agents.example.com/applied"


def utc_now() -> datetime:
    """The time for conditions."""
    return datetime.now(UTC)


class Reconciler:
    """Makes the cluster fit one AgentType. `resync_s` is how often it looks without being asked.

    `api_retry_s`: how often it does while an agent wants what the cluster has no API for.
    """

    def __init__(  # noqa: PLR0913 - seams, filled by the composition root
        self,
        client: Client,
        stores: Stores,
        recorder: EventRecorder,
        reports: ReportReader,
        states: AgentStates,
        *,
        platform: PlatformSettings,
        resync_s: float,
        api_retry_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client = client
        self._stores = stores
        self._recorder = recorder
        self._reports = reports
        self._states = states
        self._platform = platform
        self._resync_s = resync_s
        self._api_retry_s = api_retry_s
        self._now = now
        self._applier = Applier(
            client, stores, root=AGENTS, field_manager=FIELD_MANAGER, mark=APPLIED_MARK, retained=RETAINED
        )
        self._stalls = StallFinder(client)
        self._memory = MemoryKeeper(client, stores, self._applier, field_manager=FIELD_MANAGER)
        self._pins = PinKeeper(client, field_manager=FIELD_MANAGER)
        self._specs = SpecReader(platform)
        self._keys = KeyRing(stores)

    async def reconcile(self, request: Request) -> Outcome:
        """One pass. Raises the kube errors; each is first shown in the status where the object still is."""
        obj = self._stores[AGENTS].get(request.key)
        if obj is None or obj.metadata.deletion_timestamp:
            self._states.forget(request.key)
            return Done()  # the children go by their ownerReferences
        before = msgspec.json.decode(obj.status)
        parsed = self._specs.read(obj, pod_monitors=self._stores[MONITORED].served)
        if isinstance(parsed, Finding):
            status = invalid_status(parsed, before, generation=obj.metadata.generation, now=self._stamp())
            await self._write(request, obj, status, before)
            return Done()
        return await self._carry_out(request, obj, parsed, before)

    async def _carry_out(
        self, request: Request, obj: AgentObject, parsed: Parsed, before: Mapping[str, Any]
    ) -> Outcome:
        last = _last_run(before)
        chosen = choose(parsed.rendered, self._stores, last)
        pinned = await self._pins.prepare(obj, parsed.agent, chosen.apply)
        children, refused = await self._memory.prepare(request, obj, parsed.agent, pinned)
        children = self._keys.seal(obj, children)
        applied = await self._applier.apply(request, owner=obj, children=children)
        refuse(applied, refused)
        await self._applier.prune(request, owner=obj, keep=chosen.keep, sources=CHILDREN)  # never a claim
        job = live_job(parsed.rendered, self._stores)
        if job is not None:
            await follow_suspend(self._client, request, job, suspend=parsed.agent.spec.suspend, manager=FIELD_MANAGER)
        pods = self._pods(obj.key)
        progress = await self._progress(parsed, pods, last)
        servers = self._pods(obj.key, layout.MEMORY)
        server = await self._memory.look(request, obj, parsed.agent, servers, progress.finding)
        seen = Seen(
            agent=parsed.agent,
            progress=progress,
            pods=pods,
            sidecars=await look(parsed.agent, pods, self._reports, server=server, before=before),
            refusal=_refusal(applied),
            unknown_settings=parsed.unknown_settings,
            pod_monitors=self._stores[MONITORED].served,
            weaknesses=weaknesses(parsed.agent, self._platform),
        )
        newly_pinned = await self._pins.keep(request, obj, parsed.agent, seen.sidecars.tools)
        status = status_of(seen, dict(before), generation=obj.metadata.generation, now=self._stamp())
        await self._write(request, obj, status, before)
        applied.raise_first()
        return RequeueAfter(0.0 if newly_pinned else self._next_look_s(seen))  # the next pass renders what is pinned

    async def show_failure(self, request: Request, error: Exception) -> None:
        """Says in the status that passes are held back: a fight over fields is for a person to end."""
        obj = self._stores[AGENTS].get(request.key)
        if obj is None or not isinstance(error, HotLoopError):
            return
        before = msgspec.json.decode(obj.status)
        finding = Finding(Reason.HOT_LOOP, str(error))
        status = hold_status(finding, before, generation=obj.metadata.generation, now=self._stamp())
        await self._write(request, obj, status, before)

    def _next_look_s(self, seen: Seen) -> float:
        """Nothing in the cluster changes when a report does, or when a volume cannot be mounted."""
        if _is_stuck(seen) or (seen.pods and not seen.sidecars.settled):
            return min(LOOK_AGAIN_S, self._reports.refresh_s)
        if wants_metrics(seen.agent) and not seen.pod_monitors:
            return min(self._resync_s, self._api_retry_s)
        return min(self._resync_s, self._reports.refresh_s) if seen.sidecars.verdicts else self._resync_s

    async def _progress(self, parsed: Parsed, pods: list[PodObject], last: LastRun | None) -> Progress:
        spec, identity = parsed.agent.spec, parsed.agent.metadata
        key = ObjectKey(identity.namespace, identity.name)
        if spec.workload.kind == "Deployment":
            if spec.suspend:
                return suspended(replicas=len(pods))
            live = self._stores[DEPLOYED].get(key)
            wanted = 1 if spec.replicas is None else spec.replicas
            return of_deployment(live, pods, await self._stalls.of_pods(pods), wanted=wanted)
        if spec.workload.kind == "CronJob":
            jobs = [
                job for job in self._stores[RUNS].labelled(AGENT_LABEL, key.name) if job.key.namespace == key.namespace
            ]
            return suspended(replicas=len(pods)) if spec.suspend else of_schedule(jobs, pods, last)
        return await self._job_progress(parsed, pods, last)

    async def _job_progress(self, parsed: Parsed, pods: list[PodObject], last: LastRun | None) -> Progress:
        job = live_job(parsed.rendered, self._stores)
        name = next(m["metadata"]["name"] for m in parsed.rendered if m["kind"] == "Job")
        mine = last if last is not None and last.job == name else None
        stall = await self._stalls.of_job(job, pods) or await self._stalls.of_pods(pods)
        progress = of_job(job, pods, stall, mine)
        ended = progress.last_run is not None
        return suspended(replicas=len(pods)) if parsed.agent.spec.suspend and not ended else progress

    def _pods(self, key: ObjectKey, component: str = "agent") -> list[PodObject]:
        labelled = self._stores[PODS_OF_AGENTS].labelled(AGENT_LABEL, key.name)
        here = (pod for pod in labelled if pod.key.namespace == key.namespace)
        return newest(pod for pod in here if pod.metadata.labels.get(COMPONENT_LABEL, "agent") == component)

    async def _write(
        self, request: Request, obj: AgentObject, status: dict[str, Any], before: Mapping[str, Any]
    ) -> None:
        self._states.note(obj.key, status)
        await self._applier.patch_status(request, obj, status)
        told = status["reason"] == before.get("reason") and status["phase"] == before.get("phase")
        if not told and status["reason"] != Reason.PROGRESSING:  # being under way is no event
            fine = status["phase"] in {"Running", "Succeeded"} or not Finding(status["reason"], "").failing
            kind: Literal["Normal", "Warning"] = "Normal" if fine else "Warning"
            self._recorder.event(AGENT_TYPES, obj, kind, status["reason"], "Reconcile", status["message"])

    def _stamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _last_run(status: Mapping[str, Any]) -> LastRun | None:
    found = status.get("lastRun")
    return LastRun(found["job"], found["result"], found["finishedAt"]) if found else None


def _refusal(applied: Applied) -> Finding | None:
    """The first child that the server did not take, as a cause."""
    if not applied.refused:
        return None
    refusal = applied.refused[0]
    text = f"{refusal.kind} {refusal.key.name}: {refusal.error}"
    if isinstance(refusal.error, Forbidden):
        quota = "exceeded quota" in str(refusal.error)
        return Finding(Reason.QUOTA_EXCEEDED if quota else Reason.FORBIDDEN, text)
    if isinstance(refusal.error, Occupied):
        return Finding(Reason.NAME_CONFLICT, text)
    return Finding(Reason.APPLY_REFUSED if isinstance(refusal.error, Terminal) else Reason.NOT_READY, text)


def _is_stuck(seen: Seen) -> bool:
    return not seen.progress.settled and (any(map(is_starting, seen.pods)) or not seen.pods)
