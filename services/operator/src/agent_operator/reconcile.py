"""One pass over one AgentType: read caches, render, apply what differs, prune, inspect, tell it in one status.

Each step is a method; what they find is collected in `Seen`, and `status.conditions` alone turns it into a status.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from agent_api import layout
from agent_api.agenttype import ConditionType, Reason
from agent_kube import (
    Applied,
    Applier,
    Client,
    Done,
    EventRecorder,
    ObjectKey,
    Outcome,
    Request,
    RequeueAfter,
    Stores,
)
from agent_operator.agentstates import AgentStates
from agent_operator.children.fence import apply_fenced, is_open
from agent_operator.children.granted import with_granted_budget
from agent_operator.children.jobs import Runs, advance_job, choose, job_of, live_job, started_job
from agent_operator.children.keys import KeyRing
from agent_operator.children.replicas import foreign_autoscaler, scaled_children
from agent_operator.children.revisions import RevisionKeeper
from agent_operator.children.specs import Parsed, SpecReader
from agent_operator.installation import Installations
from agent_operator.objects import AgentObject, JobObject, PodObject
from agent_operator.pace import next_look_s
from agent_operator.sources import AGENT_TYPES, AGENTS, CHILDREN, DEPLOYED, JOB_SOURCE, MONITORED
from agent_operator.status.api_rejection import TRANSIENT, contest_of, failed_pass, refusal_of
from agent_operator.status.appliedconfig import AppliedConfig
from agent_operator.status.approvals import ApprovalKeeper
from agent_operator.status.conditions import Seen, hold_status, invalid_status, status_of
from agent_operator.status.counters import CounterPace
from agent_operator.status.finding import Finding
from agent_operator.status.memory import MemoryKeeper, add_refusal
from agent_operator.status.ownpods import own_pods
from agent_operator.status.progress import Progress, lost, of_deployment, of_job, of_schedule, suspended
from agent_operator.status.reports import ReportReader
from agent_operator.status.sidecars import read_reports
from agent_operator.status.stall import StallFinder
from agent_operator.status.texts import bounded
from agent_operator.status.toolpins import PinKeeper
from agent_render import PlatformSettings
from agent_render.identity import AGENT_LABEL, RETAINED, Identity
from agent_render.posture import weaknesses

FIELD_MANAGER = "agentberth/operator"
APPLIED_MARK = "agents.example.com/applied"
SHOWN_FROM = 3
"""Failures in a row from which on one is shown that the next try would end, as a rule."""


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
        keys: KeyRing,
        installations: Installations,
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
        self._pins = PinKeeper(client, stores, field_manager=FIELD_MANAGER)
        self._approvals = ApprovalKeeper(client, stores, reports, field_manager=FIELD_MANAGER, now=now)
        self._specs = SpecReader(platform)
        self._revisions = RevisionKeeper(client, stores, field_manager=FIELD_MANAGER)
        self._keys = keys
        self._installations = installations
        self._counters = CounterPace(60.0)
        self._failures: dict[ObjectKey, int] = {}  # in a row
        self._shown: dict[ObjectKey, Exception] = {}

    async def reconcile(self, request: Request) -> Outcome:
        """One pass. Raises the kube errors; each is first shown in the status where the object still is."""
        obj = self._stores[AGENTS].get(request.key)
        if obj is None or obj.metadata.deletion_timestamp:
            self._states.forget(request.key)
            self._failures.pop(request.key, None)
            self._counters.forget(request.key)
            self._installations.forget(request.key)
            return Done()  # the children go by their ownerReferences
        other = await self._installations.yield_to_other(request, obj)
        if other is not None:
            return other
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
        """The phases of a pass, each after what it builds on."""
        runs = Runs.of(before)
        live = live_job(parsed.rendered, self._stores)
        applied, config = await self._apply(request, obj, parsed, runs)
        fenced = not is_open(applied)
        if fenced:  # else what is no longer rendered may be the fence that still stands
            await self._applier.prune(request, owner=obj, keep=parsed.rendered, sources=CHILDREN)
        await self._advance(request, parsed, live, runs, may_start=fenced)
        seen = await self._inspect(request, obj, parsed, before, applied, config)
        newly_pinned = await self._pins.keep(request, obj, parsed.agent, seen.sidecars.tools, parsed.rendered)
        status = status_of(seen, dict(before), generation=obj.metadata.generation, now=self._stamp())
        if "llmStatus" in status:
            status["llmStatus"] = self._counters.calm(obj.key, status["llmStatus"], before.get("llmStatus"))
        started = started_job(job_of(parsed.rendered), live, runs, may_start=fenced)
        remembered = {"startedJob": started, "memorySecret": self._memory.secret_of(obj)}
        status |= {name: value for name, value in remembered.items() if value}
        if is_ready(status):
            await self._revisions.keep(request, obj)
        await self._write(request, obj, status, before)
        await self._approvals.keep(request, obj, parsed.agent, seen.pods, self._keys.of(obj))
        if applied.refused:
            self._shown[obj.key] = applied.refused[0].error
        applied.raise_first()
        self._failures.pop(obj.key, None)
        again = newly_pinned or (started != runs.started and live is not None)
        pause_s = next_look_s(seen, self._reports, resync_s=self._resync_s, api_retry_s=self._api_retry_s)
        return RequeueAfter(0.0 if again else pause_s)

    async def _apply(
        self, request: Request, obj: AgentObject, parsed: Parsed, runs: Runs
    ) -> tuple[Applied, AppliedConfig]:
        """Children in their order: the memory's Secret before its server, the fence before what starts Pods."""
        chosen = choose(parsed.rendered, self._stores, runs)
        chosen = await scaled_children(self._client, self._stores, request, obj, parsed.agent.spec, chosen)
        pinned = await self._pins.prepare(obj, parsed.agent, chosen)
        decided = self._approvals.prepare(obj, parsed.agent, pinned)
        children, refused = await self._memory.prepare(request, obj, parsed.agent, decided)
        name = Identity.of(parsed.agent).config
        children = with_granted_budget(self._keys.seal(obj, children), name)
        applied = await apply_fenced(self._applier, request, obj, children, stops=parsed.agent.spec.suspend)
        add_refusal(applied, refused)
        return applied, AppliedConfig.of(children, name)

    async def _advance(
        self, request: Request, parsed: Parsed, live: JobObject | None, runs: Runs, *, may_start: bool
    ) -> None:
        job = job_of(parsed.rendered)
        if job is not None and live is not None:
            await advance_job(self._client, request, job, live, runs, may_start=may_start, manager=FIELD_MANAGER)

    async def _inspect(
        self,
        request: Request,
        obj: AgentObject,
        parsed: Parsed,
        before: Mapping[str, Any],
        applied: Applied,
        config: AppliedConfig,
    ) -> Seen:
        """What there is now; the memory's faults show in the agent's Pods too, so those come first."""
        pods = own_pods(self._stores, obj)
        progress = await self._progress(parsed, pods, Runs.of(before))
        servers = own_pods(self._stores, obj, layout.MEMORY)
        server = await self._memory.inspect_memory(request, obj, parsed.agent, servers, progress.finding)
        unfenced = [fault for fault in unfenced_pods(applied) if pods]
        return Seen(
            agent=parsed.agent,
            progress=progress,
            pods=pods,
            sidecars=await read_reports(
                parsed.agent,
                pods,
                self._reports,
                keys=self._keys.of(obj),
                wanted=config,
                server=server,
                before=before,
            ),
            refusal=refusal_of(applied),
            contest=contest_of(applied),
            unknown_settings=parsed.unknown_settings,
            pod_monitors=self._stores[MONITORED].served,
            weaknesses=(*weaknesses(parsed.agent, self._platform), *unfenced),
        )

    async def show_failure(self, request: Request, error: Exception) -> None:
        """Says in the status why a pass did not come to its end, so that an older verdict does not stand for it."""
        obj = self._stores[AGENTS].get(request.key)
        if obj is None or self._shown.pop(request.key, None) is error or not self._installations.is_ours(obj):
            return
        failures = self._failures[request.key] = self._failures.get(request.key, 0) + 1
        if isinstance(error, TRANSIENT) and failures < SHOWN_FROM:
            return
        before = msgspec.json.decode(obj.status)
        status = hold_status(failed_pass(error), before, generation=obj.metadata.generation, now=self._stamp())
        await self._write(request, obj, status, before)

    async def _progress(self, parsed: Parsed, pods: list[PodObject], runs: Runs) -> Progress:
        spec, identity = parsed.agent.spec, parsed.agent.metadata
        key = ObjectKey(identity.namespace, identity.name)
        if spec.workload.kind == "Deployment":
            if spec.suspend:
                return suspended(replicas=len(pods))
            live = self._stores[DEPLOYED].get(key)
            wanted = 1 if spec.replicas is None else spec.replicas
            other = foreign_autoscaler(self._stores, key, identity.uid)
            return of_deployment(live, pods, await self._stalls.of_pods(pods), wanted=wanted, autoscaler=other)
        if spec.workload.kind == "CronJob":
            jobs = [
                job
                for job in self._stores[JOB_SOURCE].labelled(AGENT_LABEL, key.name)
                if job.key.namespace == key.namespace
            ]
            return suspended(replicas=len(pods)) if spec.suspend else of_schedule(jobs, pods, runs.last)
        return await self._job_progress(parsed, pods, runs)

    async def _job_progress(self, parsed: Parsed, pods: list[PodObject], runs: Runs) -> Progress:
        job = live_job(parsed.rendered, self._stores)
        name = next(m["metadata"]["name"] for m in parsed.rendered if m["kind"] == "Job")
        mine = runs.last if runs.last is not None and runs.last.job == name else None
        if job is None and mine is None and runs.started == name:
            return lost(name)
        stall = await self._stalls.of_job(job, pods) or await self._stalls.of_pods(pods)
        progress = of_job(job, pods, stall, mine, container=parsed.agent.spec.agent.name)
        ended = progress.last_run is not None
        return suspended(replicas=len(pods)) if parsed.agent.spec.suspend and not ended else progress

    async def _write(
        self, request: Request, obj: AgentObject, status: dict[str, Any], before: Mapping[str, Any]
    ) -> None:
        status = self._installations.marked(with_budget(bounded(status), before))
        self._states.note(obj.key, status)
        await self._applier.patch_status(request, obj, status)
        if _is_event(status, before):
            kind = _event_type(status)
            self._recorder.event(AGENT_TYPES, obj, kind, status["reason"], "Reconcile", status["message"])

    def _stamp(self) -> str:
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")


def with_budget(status: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """`status` with what the keeper of budgets has written into it: only that one changes it."""
    budget = (before.get("llmStatus") or {}).get("budget")
    return {**status, "llmStatus": {**(status.get("llmStatus") or {}), "budget": budget}} if budget else status


def unfenced_pods(applied: Applied) -> Iterator[str]:
    """What holds running Pods less than the spec says."""
    for refusal in applied.refused:
        if refusal.kind == "NetworkPolicy":
            yield f"NetworkPolicy {refusal.key.name} could not be applied: Pods that run already may lack it"


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether the summary of a status is that all is as wanted."""
    return any(c["type"] == ConditionType.READY and c["status"] == "True" for c in status["conditions"])


def _is_event(status: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    same = status["reason"] == before.get("reason") and status["phase"] == before.get("phase")
    return not same and status["reason"] != Reason.PROGRESSING  # being under way is no event


def _event_type(status: Mapping[str, Any]) -> Literal["Normal", "Warning"]:
    return "Normal" if is_ready(status) or status["reason"] == Reason.SUSPENDED else "Warning"
