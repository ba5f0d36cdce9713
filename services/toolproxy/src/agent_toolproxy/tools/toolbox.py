"""Everything that can be called, under one roof: what REST and MCP list, and how they call it.

The list is a snapshot, remade when a tool changes. So listing never waits for anyone, and a server that is away
hides nothing but itself.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

from agent_api.calls import Decision
from agent_base.redaction import Redactor
from agent_kit.telemetry import Span, Telemetry
from agent_toolproxy.call import Call, Json, ServedTool
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import CallError, ToolBlocked, ToolNotReady, UnknownTool
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.rules.rulebook import RuleBook
from agent_toolproxy.tools import audit
from agent_toolproxy.tools.callrecord import CallRecorder, EndedCall
from agent_toolproxy.tools.changes import Changes
from agent_toolproxy.tools.configuredtool import ConfiguredTool
from agent_toolproxy.tools.discovery import is_allowed
from agent_toolproxy.tools.masking import call_masked
from agent_toolproxy.tools.pinning import Drift, Pins
from agent_toolproxy.tools.search import OWNER, SearchTools
from agent_toolproxy.tools.servers.signals import Announcements

_LONGEST_SHOWN = 100
_LONGEST_ASKED = 4000
"""Characters of the arguments that a person sees who is asked about a call."""
_log = logging.getLogger(__name__)


class Registry(Protocol):
    """The registry, as far as it is needed here."""

    def tools(self) -> Iterable[ConfiguredTool]:
        """All of them, in the order of the configuration."""

    def tool(self, name: str) -> ConfiguredTool | None:
        """The one of that name."""


class Toolbox:
    """The tools that are served. `run` keeps the snapshot."""

    def __init__(  # noqa: PLR0913 - what a call passes through
        self,
        *,
        registry: Registry,
        current: CurrentConfig,
        changes: Changes,
        pins: Pins,
        rules: RuleBook,
        metrics: ToolMetrics,
        audit_log: audit.Audit,
        recorder: CallRecorder,
        telemetry: Telemetry,
        redactor: Redactor,
        announcements: Announcements,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._registry = registry
        self._current = current
        self._changes = changes
        self._pins = pins
        self._rules = rules
        self._metrics = metrics
        self._audit = audit_log
        self._recorder = recorder
        self._telemetry = telemetry
        self._redactor = redactor
        self.announcements = announcements
        self._clock = clock
        self._search = SearchTools(lambda: tuple(self._served.values()), self.call)
        self._search_tools = {served.name: served for served in self._search.served_tools()}
        self._served: dict[str, ServedTool] = {}
        self._owners: dict[str, ConfiguredTool] = {}
        self._listed: tuple[Json, ...] = ()
        self._version = 0
        self.drifts: dict[str, Drift] = {}
        self.collisions: dict[str, list[str]] = {}
        """Names that a configured tool would serve and another one serves already, by the first tool's name."""

    @property
    def settled(self) -> bool:
        """Whether the snapshot is of the present."""
        return self._changes.settled

    @property
    def version(self) -> int:
        """Grows whenever the listed definitions become others."""
        return self._version

    @property
    def listed(self) -> tuple[Json, ...]:
        """The definitions that clients see, in a fixed order."""
        return self._listed

    @property
    def served(self) -> Mapping[str, ServedTool]:
        """Every tool that can be called, by name."""
        return self._served

    async def run(self) -> None:
        """Remake the snapshot whenever something changed."""
        while True:
            await self._changes.take()
            await self._remake()
            self._changes.settle()

    async def _remake(self) -> None:
        policy = self._current.policy
        served_tools: dict[str, ServedTool] = {}
        owners: dict[str, ConfiguredTool] = {}
        collisions = defaultdict[str, list[str]](list)
        for tool in self._registry.tools():
            for served in tool.served_tools:
                if not is_allowed(policy, served.name, served.owner):
                    continue
                if (first := owners.setdefault(served.name, tool)) is tool:
                    served_tools[served.name] = served
                else:
                    collisions[tool.name].append(f"{served.name}: {first.name} has a tool of this name too")
        self._note_collisions(dict(collisions))
        pinned = {name: served.pinned_definition for name, served in served_tools.items() if served.kind == "mcp"}
        self.drifts = await asyncio.to_thread(self._pins.judge, pinned) if pinned else {}
        self._served = {name: served_tools[name] for name in sorted(served_tools) if name not in self.drifts}
        self._owners = owners
        self._show_metrics()
        self._relist()

    def _note_collisions(self, collisions: dict[str, list[str]]) -> None:
        for name, reasons in collisions.items():
            if reasons != self.collisions.get(name):
                _log.warning("tools are not served", extra={"tool": name, "reason": "; ".join(reasons)})
        self.collisions = collisions

    def _relist(self) -> None:
        shown = self._search_tools if self._is_searching() else self._served
        listed = tuple(served.definition for served in shown.values())
        if listed != self._listed:
            self._listed = listed
            self._version += 1
            self.announcements.announce("tools")

    def _show_metrics(self) -> None:
        states = {(each.name, each.planned.required): each.state == "ready" for each in self._registry.tools()}
        self._metrics.show_states(states, set(self.drifts), len(self._served))

    async def call(self, name: str, call: Call) -> Json:
        """The result of a call. Raises CallError."""
        served = self._search_tools.get(name) if self._is_searching() else None
        served = served or self._served.get(name)
        if served is None:
            refusal = self._refusal(name)
            self._recorder.add(EndedCall(name, "", call, refusal.code, 0.0, str(refusal)))
            raise refusal
        if not served.traced:
            return await served.handler(call)
        return await self.carry_out(served, call)

    def _is_searching(self) -> bool:
        return self._current.value.listing == "search"

    def _refusal(self, name: str) -> CallError:
        shown = name[:_LONGEST_SHOWN]
        if drift := self.drifts.get(name):
            return ToolBlocked(f"{shown}: {drift.describe()}")
        owner = name.partition("__")[0]
        tool = self._registry.tool(name) or self._registry.tool(owner)
        if tool is not None and tool.state != "ready":
            return ToolNotReady(f"{tool.name} is {tool.state}" + (f": {tool.error}" if tool.error else ""))
        if tool is not None and not self.settled:
            return ToolNotReady(f"the tools of {tool.name} are being listed")
        return UnknownTool(f"there is no tool {shown!r}")

    async def carry_out(self, served: ServedTool, call: Call) -> Json:
        """The result of a call: as the rules allow, masked, counted, recorded and traced. Raises CallError."""
        given = {key: value for key, value in call.meta.items() if isinstance(value, str)}
        parent = self._telemetry.extract(given) or self._recorder.run
        started, outcome, problem = self._clock(), "cancelled", ""
        result: Json | None = None
        decision: Decision = "allowed"
        with (
            self._metrics.running(),
            _span_of(self._telemetry, served, call, parent) as span,
        ):
            try:
                decision = await self._rules.admit(served.name, call, self._show)
                result = await self._call_owned(served, self._with_trace(call, parent))
                outcome = _outcome_of(result, span)
            except CallError as error:
                outcome, problem = error.code, str(error)
                span.set("error.type", outcome)
                span.fail(outcome)
                raise
            finally:
                seconds = self._clock() - started
                self._metrics.record(served.name, outcome, seconds)
                ended = EndedCall(served.name, served.owner, call, outcome, seconds, problem, result, decision=decision)
                self._audit.add(audit.AuditRecord(served.name, call, outcome, seconds, ended.decided))
                self._recorder.add(ended, span)
        return result

    def _show(self, arguments: Mapping[str, Any]) -> str:
        return self._audit.show(arguments, longest=_LONGEST_ASKED, longest_value=_LONGEST_ASKED)

    async def _call_owned(self, served: ServedTool, call: Call) -> Json:
        owner = self._owners.get(served.name) or self._registry.tool(served.owner)
        if owner is None or served.owner == OWNER:
            return await served.handler(call)
        with owner.in_use():
            return await call_masked(served.handler, call, self._redactor)

    def _with_trace(self, call: Call, parent: Mapping[str, str]) -> Call:
        headers: dict[str, str] = {}
        self._telemetry.inject(headers, parent)
        meta: dict[str, Any] = {**call.meta, **headers}
        return replace(call, meta=meta)


def _span_of(
    telemetry: Telemetry, served: ServedTool, call: Call, parent: Mapping[str, str]
) -> AbstractContextManager[Span]:
    """Named by OpenTelemetry's conventions: those for an MCP server, or for a tool where the caller speaks REST."""
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": served.name,
        "gen_ai.tool.type": served.kind,
    }
    if call.via == "rest":
        return telemetry.span(f"execute_tool {served.name}", parent=parent, attributes=attributes)
    attributes |= call.wire
    server, _, method = served.name.rpartition("__")
    if "/" in method:  # what the relay asks of a server
        attributes = {"mcp.method.name": method, **call.wire, **_asked_for(call)}
        return telemetry.span(f"{method} {server}", kind="server", parent=parent, attributes=attributes)
    attributes["mcp.method.name"] = "tools/call"
    return telemetry.span(f"tools/call {served.name}", kind="server", parent=parent, attributes=attributes)


def _asked_for(call: Call) -> dict[str, str]:
    """The resource or the prompt that is asked for; a call to complete an argument names neither."""
    named = {"mcp.resource.uri": call.arguments.get("uri"), "gen_ai.prompt.name": call.arguments.get("name")}
    return {key: value[:_LONGEST_SHOWN] for key, value in named.items() if isinstance(value, str)}


def _outcome_of(result: Json, span: Span) -> str:
    if result.get("isError"):
        span.set("error.type", "tool_error")
        span.fail("the tool reported an error")
        return "error"
    return "ok"
