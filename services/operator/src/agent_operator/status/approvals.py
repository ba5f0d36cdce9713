"""Calls of tools that wait for a person: from the proxies' reports to ToolApproval objects, and decisions back.

All state is in the objects. A decision is given to exactly one waiting call, by its id: the write that gives it names
the version of the object that it was read from, so that two passes cannot give it to two calls. The proxy that asked
under that id uses it once. Whatever a report claims, it can only ask.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from agent_api import layout
from agent_api.agenttype import AgentType
from agent_api.agenttype.toolrules import APPROVAL, ApprovalState
from agent_api.toolsreport import ApprovalRequest, ToolsReport
from agent_kube import AlreadyExists, Client, Conflict, Manifest, NotFound, Request, Stores
from agent_operator.objects import AgentObject, ApprovalObject, PodObject
from agent_operator.owning import owner_reference
from agent_operator.sources import APPROVALS, TOOL_APPROVALS
from agent_operator.status.reports import Answer, ReportReader, running_sidecar
from agent_render.identity import AGENT_LABEL, Identity
from agent_render.objects.podkeys import PodKeys

POLL_S: Final = 5.0
"""How often the proxies of an agent are asked, when its rules ask persons."""
MOST_PODS: Final = 20
MOST_OPEN: Final = 20
MOST_CLOSED: Final = 20
_LONGEST_NAME: Final = 200
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """What becomes of one object: its state, and the waiting call that it is about."""

    approval: ApprovalObject
    state: ApprovalState
    request: str


@dataclass(frozen=True)
class Plan:
    """What there is to write."""

    verdicts: tuple[Verdict, ...] = ()
    new: tuple[ApprovalRequest, ...] = ()
    outdated: tuple[ApprovalObject, ...] = ()


class ApprovalKeeper:
    """One for the operator. It remembers nothing."""

    def __init__(
        self,
        client: Client,
        stores: Stores,
        reports: ReportReader,
        *,
        field_manager: str,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._stores = stores
        self._reports = reports
        self._manager = field_manager
        self._now = now

    def prepare(self, obj: AgentObject, agent: AgentType, children: tuple[Manifest, ...]) -> tuple[Manifest, ...]:
        """`children` with the decisions in tools.json."""
        decisions = decisions_of(self._own(obj)) if asks(agent) else []
        if not decisions:
            return children
        name = Identity.of(agent).config
        return tuple(
            _with_decisions(child, decisions)
            if child["kind"] == "ConfigMap" and child["metadata"]["name"] == name
            else child
            for child in children
        )

    async def keep(
        self, request: Request, obj: AgentObject, agent: AgentType, pods: Sequence[PodObject], keys: PodKeys
    ) -> None:
        """Bring the objects up to what waits now. Raises the kube errors, but those that the next pass heals."""
        if not asks(agent):
            return
        if not self._stores[APPROVALS].served:
            _log.warning("ToolApproval is not defined in this cluster: calls that ask are denied when they expire")
            return
        plan = plan_of(self._own(obj), await self._waiting(pods, keys), self._now())
        for verdict in plan.verdicts:
            await self._decide(request, verdict)
        for new in plan.new:
            await self._create(request, obj, agent, new)
        for old in plan.outdated:
            await self._client.delete(TOOL_APPROVALS, old.key, uid=old.metadata.uid)
            request.writes.count += 1

    def _own(self, obj: AgentObject) -> list[ApprovalObject]:
        labelled = self._stores[APPROVALS].labelled(AGENT_LABEL, obj.key.name)
        return [
            each
            for each in labelled
            if each.key.namespace == obj.key.namespace and each.metadata.controller_uid == obj.metadata.uid
        ]

    async def _waiting(self, pods: Sequence[PodObject], keys: PodKeys) -> list[ApprovalRequest]:
        """What the proxies that run say, asked all at once: each may take as long as a dead address does."""
        running = [pod for pod in pods if running_sidecar(pod, layout.TOOLPROXY)][:MOST_PODS]
        answers = await asyncio.gather(*(self._ask(pod, keys) for pod in running))
        reports = (answer.report for answer in answers if answer.report is not None)
        return list({each.id: each for report in reports for each in report.approvals}.values())

    async def _ask(self, pod: PodObject, keys: PodKeys) -> Answer[ToolsReport]:
        signer = keys.signer(layout.TOOLPROXY, pod.metadata.uid)
        return await self._reports.read(
            pod, layout.TOOLPROXY_OPS_PORT, ToolsReport, signer=signer, ready=True, max_age_s=POLL_S / 2
        )

    async def _decide(self, request: Request, verdict: Verdict) -> None:
        metadata = verdict.approval.metadata
        change = {
            "metadata": {"resourceVersion": metadata.resource_version},
            "status": {"state": verdict.state, "request": verdict.request},
        }
        try:
            await self._client.patch(
                TOOL_APPROVALS, metadata.key, change, subresource="status", field_manager=self._manager
            )
        except (Conflict, NotFound):
            return  # another version of it is on its way to the cache, and is judged then
        request.writes.count += 1
        _log.info("a tool call was decided", extra={"approval": metadata.name, "state": verdict.state})

    async def _create(self, request: Request, obj: AgentObject, agent: AgentType, asked: ApprovalRequest) -> None:
        try:
            await self._client.post(TOOL_APPROVALS, _manifest(obj, agent, asked), field_manager=self._manager)
        except AlreadyExists:
            return
        request.writes.count += 1


def asks(agent: AgentType) -> bool:
    """Whether a person is asked about some calls of the agent."""
    return agent.spec.tools is not None and agent.spec.tools.policy.asks


def plan_of(approvals: Iterable[ApprovalObject], waiting: Sequence[ApprovalRequest], now: datetime) -> Plan:
    """What is to be written about the objects of one agent and the calls that wait."""
    objects = sorted(approvals, key=lambda each: (each.metadata.creation_timestamp, each.metadata.name))
    verdicts = [verdict for each in objects if (verdict := _judge(each, waiting, now))]
    decided = {verdict.approval.metadata.uid for verdict in verdicts}
    known = {name for each in objects for name in (each.spec.request, each.status.request)}
    known |= {verdict.request for verdict in verdicts}
    pending = [each for each in objects if not each.status.state and each.metadata.uid not in decided]
    asked = {each.spec.hash for each in pending}
    new: list[ApprovalRequest] = []
    for each in waiting:
        if each.id in known or each.hash in asked or _is_over(each.expires_at, now):
            continue
        if len(pending) + len(new) < MOST_OPEN:
            asked.add(each.hash)
            new.append(each)
    closed = [each for each in objects if each.status.state and _is_over(each.spec.expires_at, now)]
    return Plan(tuple(verdicts), tuple(new), tuple(closed[: max(0, len(closed) - MOST_CLOSED)]))


def _judge(approval: ApprovalObject, waiting: Sequence[ApprovalRequest], now: datetime) -> Verdict | None:
    """A new verdict on one object, if there is one. What was decided is given to a call that waits for it now."""
    spec = approval.spec
    if approval.status.state:
        return None
    if _is_over(spec.expires_at, now):
        return Verdict(approval, "Expired", spec.request)
    if not spec.decision:
        return None
    live = [each.id for each in waiting if each.hash == spec.hash and not _is_over(each.expires_at, now)]
    chosen = spec.request if spec.request in live else next(iter(live), "")
    if spec.decision == "Approve":
        return Verdict(approval, "Granted", chosen) if chosen else None
    return Verdict(approval, "Denied", chosen or spec.request)


def decisions_of(approvals: Iterable[ApprovalObject]) -> list[dict[str, str]]:
    """For tools.json: what was decided and given to a call."""
    spelled: dict[str, Literal["approved", "denied"]] = {"Granted": "approved", "Denied": "denied"}
    return [
        {"request": each.status.request, "hash": each.spec.hash, "decision": spelled[each.status.state]}
        for each in sorted(approvals, key=lambda each: each.metadata.name)
        if each.status.state in spelled
    ]


def _is_over(expires_at: str, now: datetime) -> bool:
    """What cannot be read is over."""
    try:
        expiry = datetime.strptime(expires_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return True
    return expiry <= now or expiry > now + timedelta(days=8)


def _with_decisions(child: Manifest, decisions: list[dict[str, str]]) -> Manifest:
    config: dict[str, Any] = json.loads(child["data"][layout.TOOLS_KEY])
    config["decisions"] = decisions
    return {**child, "data": {**child["data"], layout.TOOLS_KEY: json.dumps(config, indent=2)}}


def _manifest(obj: AgentObject, agent: AgentType, asked: ApprovalRequest) -> Manifest:
    identity = Identity.of(agent)
    return {
        "apiVersion": TOOL_APPROVALS.api_version,
        "kind": APPROVAL,
        "metadata": {
            **identity.metadata(f"{obj.metadata.name[:_LONGEST_NAME]}-{asked.id}"),
            "ownerReferences": [owner_reference(obj)],
        },
        "spec": {
            "agent": obj.metadata.name,
            "tool": asked.tool,
            "arguments": asked.arguments,
            "reason": asked.reason,
            "request": asked.id,
            "hash": asked.hash,
            "askedAt": asked.asked_at,
            "expiresAt": asked.expires_at,
        },
    }
