"""Everything that can be called, under one roof: what REST and MCP list, and how they call it.

The list is a snapshot, remade when an entry changes. So listing never waits for anyone, and a server that is away
hides nothing but itself.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from agent_api.toolsconfig import ToolsConfig
from agent_kit.telemetry import Span, Telemetry
from agent_toolproxy.call import Call, Json, Offer
from agent_toolproxy.errors import CallError, ToolBlocked, ToolNotReady, UnknownTool
from agent_toolproxy.metrics import ToolMetrics
from agent_toolproxy.tools import audit
from agent_toolproxy.tools.discovery import is_allowed
from agent_toolproxy.tools.entry import Entry
from agent_toolproxy.tools.pinning import Drift, Pins
from agent_toolproxy.tools.search import OWNER, SearchTools

_LONGEST_SHOWN = 100


class Entries(Protocol):
    """The registry, as far as it is needed here."""

    config: ToolsConfig

    def entries(self) -> Iterable[Entry]:
        """All of them, in the order of the configuration."""

    def entry(self, name: str) -> Entry | None:
        """The one of that name."""


class Toolbox:
    """The tools that are served. `run` keeps the snapshot; `mark_changed` asks for a new one."""

    def __init__(
        self,
        *,
        pins: Pins,
        metrics: ToolMetrics,
        audit_log: audit.Audit,
        telemetry: Telemetry,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._pins = pins
        self._metrics = metrics
        self._audit = audit_log
        self._telemetry = telemetry
        self._clock = clock
        self._search = SearchTools(lambda: tuple(self._served.values()), self.call)
        self._search_offers = {offer.name: offer for offer in self._search.offers()}
        self._entries: Entries | None = None
        self._served: dict[str, Offer] = {}
        self._owners: dict[str, Entry] = {}
        self._listed: tuple[Json, ...] = ()
        self._dirty = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._changed = asyncio.Event()
        self._version = 0
        self.drifts: dict[str, Drift] = {}

    def attach(self, entries: Entries) -> None:
        """Serve what `entries` offer."""
        self._entries = entries

    def mark_changed(self) -> None:
        """An entry changed."""
        self._settled.clear()
        self._dirty.set()

    @property
    def settled(self) -> bool:
        """Whether the snapshot is of the present."""
        return self._settled.is_set()

    @property
    def version(self) -> int:
        """Grows whenever the listed definitions become others."""
        return self._version

    @property
    def listed(self) -> tuple[Json, ...]:
        """The definitions that clients see, in a fixed order."""
        return self._listed

    @property
    def served(self) -> Mapping[str, Offer]:
        """Every tool that can be called, by name."""
        return self._served

    async def run(self) -> None:
        """Remake the snapshot whenever something changed."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._remake()
            if not self._dirty.is_set():
                self._settled.set()

    async def wait_settled(self) -> None:
        """Return when the snapshot is of the present: nobody is given what is not in it any more."""
        await self._settled.wait()

    def changes(self) -> AsyncIterator[None]:
        """After each time that the listed definitions became others, from this call on; changes meanwhile are one."""
        return self._changes_after(self._version)

    async def _changes_after(self, seen: int) -> AsyncIterator[None]:
        while True:
            while seen == self._version:
                await self._changed.wait()
            seen = self._version
            yield

    async def _remake(self) -> None:
        assert self._entries is not None  # noqa: S101 - attached before it runs
        policy = self._entries.config.policy
        offers: dict[str, Offer] = {}
        owners: dict[str, Entry] = {}
        for entry in self._entries.entries():
            for offer in entry.offers:
                if is_allowed(policy, offer.name, offer.owner):
                    owners.setdefault(offer.name, entry)
                    offers.setdefault(offer.name, offer)
        pinned = {name: offer.definition for name, offer in offers.items() if offer.kind == "mcp"}
        self.drifts = await asyncio.to_thread(self._pins.judge, pinned) if pinned else {}
        self._served = {name: offers[name] for name in sorted(offers) if name not in self.drifts}
        self._owners = owners
        self._show_metrics()
        self._relist()

    def _relist(self) -> None:
        searching = self._entries is not None and self._entries.config.listing == "search"
        shown = self._search_offers if searching else self._served
        listed = tuple(offer.definition for offer in shown.values())
        if listed != self._listed:
            self._listed = listed
            self._version += 1
            self._changed.set()
            self._changed = asyncio.Event()

    def _show_metrics(self) -> None:
        assert self._entries is not None  # noqa: S101 - attached before it runs
        states = {(each.name, each.planned.required): each.state == "ready" for each in self._entries.entries()}
        self._metrics.show_states(states, set(self.drifts), len(self._served))

    async def call(self, name: str, call: Call) -> Json:
        """The result of a call. Raises CallError."""
        offer = self._search_offers.get(name) if self._is_searching() else None
        offer = offer or self._served.get(name)
        if offer is None:
            raise self._refusal(name)
        if not offer.traced:
            return await offer.handler(call)
        return await self._call_traced(offer, call)

    def _is_searching(self) -> bool:
        return self._entries is not None and self._entries.config.listing == "search"

    def _refusal(self, name: str) -> CallError:
        shown = name[:_LONGEST_SHOWN]
        if drift := self.drifts.get(name):
            return ToolBlocked(f"{shown}: {drift.describe()}")
        owner = name.partition("__")[0]
        entry = self._entries.entry(name) or self._entries.entry(owner) if self._entries else None
        if entry is not None and entry.state != "ready":
            return ToolNotReady(f"{entry.name} is {entry.state}" + (f": {entry.error}" if entry.error else ""))
        if entry is not None and not self.settled:
            return ToolNotReady(f"the tools of {entry.name} are being listed")
        return UnknownTool(f"there is no tool {shown!r}")

    async def _call_traced(self, offer: Offer, call: Call) -> Json:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": offer.name,
            "gen_ai.tool.type": offer.kind,
        }
        parent = self._telemetry.extract({key: value for key, value in call.meta.items() if isinstance(value, str)})
        started, outcome = self._clock(), "cancelled"
        with (
            self._metrics.running(),
            self._telemetry.span(f"execute_tool {offer.name}", parent=parent, attributes=attributes) as span,
        ):
            try:
                result = await self._call_owned(offer, self._with_trace(call, parent))
                outcome = _outcome_of(result, span)
            except CallError as error:
                outcome = error.code
                span.fail(outcome)
                raise
            finally:
                seconds = self._clock() - started
                self._metrics.record(offer.name, outcome, seconds)
                self._audit.record(audit.Entry(offer.name, call, outcome, seconds))
        return result

    async def _call_owned(self, offer: Offer, call: Call) -> Json:
        owner = self._owners.get(offer.name)
        if owner is None or offer.owner == OWNER:
            return await offer.handler(call)
        with owner.in_use():
            return await offer.handler(call)

    def _with_trace(self, call: Call, parent: Mapping[str, str]) -> Call:
        headers: dict[str, str] = {}
        self._telemetry.inject(headers, parent)
        meta: dict[str, Any] = {**call.meta, **headers}
        return replace(call, meta=meta)


def _outcome_of(result: Json, span: Span) -> str:
    if result.get("isError"):
        span.fail("the tool reported an error")
        return "error"
    return "ok"
