"""A run on this machine, as the console shows it: processes, their logs, and what the sidecars say of themselves."""

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from pydantic import ValidationError

from agent_api import layout
from agent_api.calls import CallsReport
from agent_api.toolsreport import ApprovalRequest
from agentberth.cluster.approvals import Decision
from agentberth.console.limits import limits_of
from agentberth.console.view import (
    AgentRow,
    AgentView,
    ApprovalsView,
    ApprovalView,
    CallsView,
    ConditionView,
    ContainerView,
    LogsView,
    Plain,
    RevisionsView,
    State,
)
from agentberth.errors import CommandError
from agentberth.local.approvals import ApprovalDesk
from agentberth.local.pod import SIDECAR_PORTS, LocalProcess
from agentberth.local.ports import Ports

_POLL_S: Final = 0.5
_ANSWER_S: Final = 2.0
_MOST_LINES: Final = 2000
_LONGEST_LINE_CHARS: Final = 4000
_MOST_CALLS: Final = 5000
_MOST_BYTES: Final = 32 << 20
_MOST_DECIDED: Final = 50
ExitCodes = Callable[[], Mapping[str, int | None]]
"""Of the processes that were started, by name; None for one that runs."""


class RunSource:
    """One agent. `poll` asks the sidecars once; `follow` goes on doing it."""

    def __init__(self, name: str, plans: Sequence[LocalProcess], ports: Ports, exit_codes: ExitCodes) -> None:
        self._name = name
        self._plans = plans
        self._ops = {
            plan.name: f"http://127.0.0.1:{ports.of(SIDECAR_PORTS[plan.name][1])}"
            for plan in plans
            if plan.name in SIDECAR_PORTS
        }
        self._exit_codes = exit_codes
        self._logs: dict[str, deque[str]] = {plan.name: deque(maxlen=_MOST_LINES) for plan in plans}
        self._began = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._reports: dict[str, Plain] = {}
        self._ready: dict[str, str | None] = {}
        self._calls: dict[str, deque[Plain]] = {name: deque(maxlen=_MOST_CALLS) for name in self._ops}
        self._dropped: dict[str, int] = {}
        self._seen = ""
        self.version = 0
        self.problem = ""
        self.desk: ApprovalDesk | None = None
        """Where the run's calls are decided that a rule asks about."""
        self.title = f"agentberth run {name}"
        self.keeps_revisions = False

    def note_line(self, name: str, line: str) -> None:
        """A process has written a line."""
        self._logs[name].append(line[:_LONGEST_LINE_CHARS])
        self.version += 1

    async def follow(self) -> None:
        """Asks the sidecars again and again."""
        while True:
            await self.poll()
            await asyncio.sleep(_POLL_S)

    async def poll(self) -> None:
        """Asks every sidecar that runs what it has to say."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            for name, base in self._ops.items():
                if self._exit_codes().get(name, 0) is None:
                    await self._poll_sidecar(session, name, base)
        waiting = [each.id for each in self.desk.waiting()] if self.desk else []
        seen = json.dumps([self._reports, self._ready, self._exit_codes(), waiting], sort_keys=True, default=str)
        if seen != self._seen:
            self._seen = seen
            self.version += 1

    async def _poll_sidecar(self, session: aiohttp.ClientSession, name: str, base: str) -> None:
        """What cannot be read now is read next time."""
        try:
            async with session.get(f"{base}/readyz") as answer:
                self._ready[name] = (
                    None if answer.status == 200 else (await answer.content.read(1000)).decode(errors="replace")
                )
            async with session.get(f"{base}/report") as answer:
                report = json.loads(await answer.content.read(_MOST_BYTES))
                self._reports[name] = report if isinstance(report, dict) else {}
            after = self._last_number(name)
            async with session.get(f"{base}/calls", params={"after": str(after)}) as answer:
                self._take(name, CallsReport.model_validate_json(await answer.content.read(_MOST_BYTES)))
        except (aiohttp.ClientError, TimeoutError, ValueError, ValidationError):
            return

    def _take(self, name: str, report: CallsReport) -> None:
        self._dropped[name] = report.dropped
        last = self._last_number(name)  # the last look of a run may meet one of those before it
        for call in report.calls:
            if call.number <= last:
                continue
            self._calls[name].append({"sidecar": name, **call.model_dump(mode="json", by_alias=True)})
            self.version += 1

    def _last_number(self, name: str) -> int:
        return int(self._calls[name][-1]["number"]) if self._calls[name] else 0

    async def agents(self) -> Sequence[AgentRow]:
        return (self._row(),)

    async def agent(self, namespace: str, name: str) -> AgentView:
        """The one, or none."""
        self._check(namespace, name)
        gateway, tools = self._reports.get(layout.LLMGATEWAY, {}), self._reports.get(layout.TOOLPROXY, {})
        return AgentView(
            row=self._row(),
            containers=self._containers(),
            conditions=self._conditions(),
            providers=gateway.get("providers", ()),
            tools=tools.get("tools", ()),
            memory=tools.get("memory") or gateway.get("memory"),
            limits=limits_of(gateway.get("budget")),
        )

    async def calls(self, namespace: str, name: str) -> CallsView:
        """Of both sidecars, in the order in which they began."""
        self._check(namespace, name)
        merged = sorted((call for calls in self._calls.values() for call in calls), key=lambda call: call["at"])
        return CallsView(merged, sum(self._dropped.values()))

    async def logs(self, namespace: str, name: str, container: str, pod: str) -> LogsView:  # noqa: ARG002 - there is one Pod
        """What the process has written."""
        self._check(namespace, name)
        if container not in self._logs:
            raise LookupError(f"there is no container {container[:100]!r}")
        return LogsView(container, tuple(self._logs[container]))

    async def revisions(self, namespace: str, name: str, older: str, newer: str) -> RevisionsView:  # noqa: ARG002 - there is one spec
        """None: a run has the spec of its file."""
        self._check(namespace, name)
        return RevisionsView()

    async def approvals(self) -> ApprovalsView:
        """What waits while the agent runs, and what was decided."""
        if self.desk is None:
            return ApprovalsView()
        is_over = self._exit_codes().get(self._plans[-1].name) is not None
        decided = [self._approval(each, "Approved" if yes else "Denied") for each, yes in self.desk.decided.values()]
        known = self.desk.decided
        open_ = () if is_over else tuple(self._approval(e, "Waiting") for e in self.desk.waiting() if e.id not in known)
        return ApprovalsView((*open_, *decided[-_MOST_DECIDED:]), takes_note=False)

    def _approval(self, request: ApprovalRequest, state: str) -> ApprovalView:
        return ApprovalView(
            namespace="default",
            name=request.id,
            agent=self._name,
            tool=request.tool,
            arguments=request.arguments,
            hash=request.hash,
            reason=request.reason,
            asked=request.asked_at,
            expires=request.expires_at,
            state=state,
        )

    async def decide(self, namespace: str, name: str, seen_hash: str, decision: Decision, note: str) -> None:  # noqa: ARG002 - a run keeps no notes
        """See ApprovalDesk."""
        self._check(namespace, self._name)
        if self.desk is None:
            raise CommandError("no rule of this agent asks for approval")
        self.desk.decide(name, seen_hash, approved=decision == "Approve")
        self.version += 1

    def _check(self, namespace: str, name: str) -> None:
        if (namespace, name) != ("default", self._name):
            raise LookupError(f"there is no agent {namespace[:100]}/{name[:100]}")

    def _row(self) -> AgentRow:
        states = {view.name: view for view in self._containers()}
        last = states[self._plans[-1].name]
        phase = {"running": "Running", "ready": "Running", "ended": "Succeeded", "failed": "Failed"}
        broken = next((view for view in states.values() if view.state == "failed"), None)
        calls = [call for calls in self._calls.values() for call in calls if call["kind"] == "model"]
        usd = [call["usd"] for call in calls if call["usd"] is not None]
        return AgentRow(
            namespace="default",
            name=self._name,
            phase="Failed" if broken else phase.get(last.state, "Pending"),
            ready=last.state in ("running", "ended") and broken is None,
            reason="Failed" if broken else "",
            message=f"{broken.name}: {broken.detail}" if broken else "",
            cure=f"read the log of {broken.name}" if broken else "",
            replicas="1",
            created=self._began,
            tokens=sum(sum(call["tokens"][key] for key in ("input", "output")) for call in calls if call["tokens"]),
            usd=sum(usd) if usd else None,
        )

    def _containers(self) -> tuple[ContainerView, ...]:
        codes = self._exit_codes()
        over = codes.get(self._plans[-1].name) is not None
        return tuple(self._container(plan, codes, over=over) for plan in self._plans)

    def _container(self, plan: LocalProcess, codes: Mapping[str, int | None], *, over: bool) -> ContainerView:
        if plan.name not in codes:
            return ContainerView(plan.name, plan.role, "waiting")
        code = codes[plan.name]
        if code is not None:
            stopped = plan.role == "sidecar" and over
            state: State = "ended" if code == 0 or stopped else "failed"
            return ContainerView(plan.name, plan.role, state, "stopped" if stopped else f"exit code {code}")
        if plan.name in self._ready:
            fault = self._ready[plan.name]
            return ContainerView(plan.name, plan.role, "running" if fault else "ready", fault or "")
        return ContainerView(plan.name, plan.role, "running")

    def _conditions(self) -> tuple[ConditionView, ...]:
        """What is wrong, in the words of the sidecars."""
        found = [
            _condition("ToolBlocked", tool) for tool in self._states(layout.TOOLPROXY, "tools", ("failed", "blocked"))
        ]
        for name, fault in self._ready.items():
            if fault:
                found.append(ConditionView(f"{name} ready", "False", "NotReady", fault))
        return tuple(found)

    def _states(self, sidecar: str, key: str, states: tuple[str, ...]) -> list[Any]:
        entries = self._reports.get(sidecar, {}).get(key, ())
        return [each for each in entries if isinstance(each, dict) and each.get("state") in states]


def _condition(reason: str, tool: Plain) -> ConditionView:
    return ConditionView(f"tool {tool['name']}", "False", reason, str(tool.get("error", "")))
