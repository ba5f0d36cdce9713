"""One pass over the budget of one AgentType: ask its gateways, do the arithmetic, store, tell the gateways.

The order makes it safe to be killed anywhere. A larger slice is stored before it is sent, on condition that nobody
stored anything meanwhile; a smaller one is sent before it is stored. An agent at rest is asked now and then, and
nothing is written for it.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from agent_api import layout
from agent_api.agenttype.services import Budget
from agent_api.budget.granting import granted, noted, order_for, reclaimed
from agent_api.budget.grants import GrantOrder
from agent_api.budget.ledger import BudgetLedger, PodState, Pool, opened
from agent_api.budget.limits import amounts_of
from agent_kube import Client, Done, EventRecorder, Outcome, Request, RequeueAfter, Stores
from agent_kube.control.request import Expectation
from agent_kube.objects import version_number
from agent_operator.budget.budgetstatus import Plain, held_by, read_ledger, show_ledger, spent_by
from agent_operator.budget.exchange import GrantExchange
from agent_operator.budget.pods import is_running, states_of
from agent_operator.children.keys import KeyRing
from agent_operator.installation import Installations
from agent_operator.objects import AgentObject, PodObject
from agent_operator.sources import AGENT_TYPES, AGENTS, JOB_SOURCE
from agent_operator.status.ownpods import own_pods
from agent_render.identity import AGENT_LABEL

SHOW_S: Final = 30.0
"""Between two writes that only show what is spent."""
STARTING_S: Final = 2.0
WAITING_S: Final = 3.0
SPENDING_S: Final = 5.0
REST_S: Final = 30.0
ASKED_PER_S: Final = 50
"""Agents at rest that are asked in a second: where there are more, each is asked less often."""
REMEMBERED: Final = 20_000
_WRITES_ALLOWED: Final = 10
"""As the children of an object, to the guard against hot loops: a budget is written more often than a spec."""


class _Spec(msgspec.Struct, frozen=True):
    """What of a spec a pass reads."""

    llm: dict[str, Any] = {}


@dataclass(frozen=True)
class _Pass:
    """What one pass goes by."""

    obj: AgentObject
    pods: Mapping[str, PodObject]
    now: float
    warn_at_percent: int


@dataclass(frozen=True)
class _Memory:
    """Of one agent, since the last pass; may be lost."""

    spent: dict[tuple[str, str], int]
    stored_at: float = float("-inf")


class BudgetKeeper:
    """Hands out the budgets of all agents."""

    def __init__(  # noqa: PLR0913 - seams, filled by the composition root
        self,
        client: Client,
        stores: Stores,
        keys: KeyRing,
        exchange: GrantExchange,
        recorder: EventRecorder,
        installations: Installations,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._stores = stores
        self._keys = keys
        self._exchange = exchange
        self._recorder = recorder
        self._installations = installations
        self._now = now
        self._clock = clock
        self._known: OrderedDict[str, _Memory] = OrderedDict()

    async def reconcile(self, request: Request) -> Outcome:
        """One pass. Raises the kube errors: Conflict when the status has changed meanwhile."""
        obj = self._stores[AGENTS].get(request.key)
        if obj is None or obj.metadata.deletion_timestamp or not self._installations.is_ours(obj):
            return Done()
        shown = _shown(obj)
        budget = budget_in(obj)
        amounts = amounts_of(budget)
        if not amounts:
            if shown is not None:
                await self._store(request, obj, None)
            return Done()
        pods = {pod.metadata.uid: pod for pod in own_pods(self._stores, obj)}
        at = _Pass(obj, pods, self._now(), budget.warn_at_percent)
        return await self._keep(request, at, read_ledger(shown), amounts)

    async def _keep(self, request: Request, at: _Pass, stored: BudgetLedger, amounts: Mapping[str, int]) -> Outcome:
        states = states_of(at.pods.values(), self._keys.of(at.obj))
        jobs = self._stores[JOB_SOURCE].labelled(AGENT_LABEL, at.obj.key.name)
        ledger = opened(
            stored, amounts, {each.run for each in states.values()} - {""}, {job.metadata.uid for job in jobs}, at.now
        )
        ledger = noted(ledger, states, at.now)
        orders = {uid: order_for(ledger, state, at.now) for uid, state in states.items() if is_running(at.pods[uid])}
        states = await self._ask(at, states, orders)
        ledger = noted(ledger, states, at.now)
        if taking := reclaimed(ledger, states, at.now):
            states = await self._ask(at, states, taking)
            ledger = noted(ledger, states, at.now)
        after = granted(ledger, states)
        if self._must_store(at.obj, stored, after):
            await self._store(request, at.obj, after)
            self._tell_of_end(at, stored, after)
            await self._tell(at, after, states)
        return self._next(at, after, states)

    async def _ask(
        self, at: _Pass, states: Mapping[str, PodState], orders: Mapping[str, GrantOrder]
    ) -> dict[str, PodState]:
        """The states with the receipts for `orders`; an older receipt stays where there is no new one."""
        keys = self._keys.of(at.obj)

        async def ask(uid: str, order: GrantOrder) -> PodState:
            receipt = await self._exchange.send(at.pods[uid], order, keys.signer(layout.LLMGATEWAY, uid))
            return replace(states[uid], receipt=receipt or states[uid].receipt)

        found = await asyncio.gather(*(ask(uid, order) for uid, order in orders.items()))
        return {**states, **{each.uid: each for each in found}}

    async def _tell(self, at: _Pass, ledger: BudgetLedger, states: Mapping[str, PodState]) -> None:
        """Send what was stored; whom it does not reach gets it in the next pass."""
        heard = {uid: state for uid, state in states.items() if state.receipt and not state.ended}
        await self._ask(at, states, {uid: order_for(ledger, state, at.now) for uid, state in heard.items()})

    def _must_store(self, obj: AgentObject, stored: BudgetLedger, after: BudgetLedger) -> bool:
        """A grant and the end of a Pod at once; what was spent now and then; nothing else at all."""
        if after.serial != stored.serial or held_by(after) != held_by(stored):
            return True
        memory = self._known.get(obj.metadata.uid)
        rested = memory is None or self._clock() - memory.stored_at >= SHOW_S
        return rested and spent_by(after) != spent_by(stored)

    def _tell_of_end(self, at: _Pass, stored: BudgetLedger, after: BudgetLedger) -> None:
        """An event when a limit is nearly used up, once: when what is spent passes the mark, or the mark is lowered."""
        told = {_window_of(pool) for pool in stored.pools if _is_near_end(pool, at.warn_at_percent)}
        for pool in after.pools:
            if _is_near_end(pool, at.warn_at_percent) and _window_of(pool) not in told:
                text = f"{pool.limit}: {pool.spent * 100 // max(1, pool.amount)} % is spent"
                self._recorder.event(AGENT_TYPES, at.obj, "Warning", "BudgetNearEnd", "Grant", text)

    async def _store(self, request: Request, obj: AgentObject, ledger: BudgetLedger | None) -> None:
        """Raises Conflict when the object is not the one that the pass has read."""
        budget = show_ledger(ledger) if ledger is not None else None
        change = {
            "metadata": {"resourceVersion": obj.metadata.resource_version, "uid": obj.metadata.uid},
            "status": {"llmStatus": {"budget": budget}},
        }
        answer = await self._client.patch(AGENT_TYPES, obj.key, change, subresource="status")
        request.writes.children = _WRITES_ALLOWED
        request.writes.record(Expectation(AGENTS, obj.key, version_number(answer.resource_version)))
        known = self._known.pop(obj.metadata.uid, _Memory({}))
        self._known[obj.metadata.uid] = replace(known, stored_at=self._clock())
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _next(self, at: _Pass, ledger: BudgetLedger, states: Mapping[str, PodState]) -> Outcome:
        """Sooner while something is spent, and soonest while somebody waits."""
        uid, spent = at.obj.metadata.uid, spent_by(ledger)
        known = self._known.get(uid, _Memory({}))
        self._known[uid] = replace(known, spent=spent)
        living = {uid: state for uid, state in states.items() if not state.ended}
        if not living:
            return Done()  # a Pod's change is the next reason for a look
        if any(state.receipt is None and is_running(at.pods[uid]) for uid, state in living.items()):
            return RequeueAfter(STARTING_S)
        standings = [each for state in living.values() if state.receipt for each in state.receipt.standings]
        if any(each.wanted for each in standings):
            return RequeueAfter(WAITING_S)
        if any(each.reserved for each in standings) or spent != known.spent:
            return RequeueAfter(SPENDING_S)
        return RequeueAfter(max(REST_S, len(self._stores[AGENTS]) / ASKED_PER_S))


def _is_near_end(pool: Pool, percent: int) -> bool:
    return pool.spent >= max(1, pool.amount * percent // 100)


def _window_of(pool: Pool) -> tuple[str, str, int]:
    return pool.limit, pool.run, pool.window


def budget_in(obj: AgentObject) -> Budget:
    """What a spec sets; of one that is not valid nothing is known."""
    try:
        budget = msgspec.json.decode(obj.spec, type=_Spec).llm.get("budget")
        return Budget.model_validate(budget or {})
    except (msgspec.MsgspecError, ValidationError):
        return Budget()


def _shown(obj: AgentObject) -> Plain | None:
    status = msgspec.json.decode(obj.status)
    found: Plain | None = (status.get("llmStatus") or {}).get("budget")
    return found
