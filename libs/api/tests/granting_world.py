"""A small world in one process in which budgets are granted, with everything that can go wrong.

Operators that stop after any step, or do not see a Pod for a while, gateways that restart, Pods that end or vanish,
orders that arrive late or twice, clocks that differ, and several operators at once that each take themselves for the
leader. `Rules` are the steps of `agent_api.budget.granting`, or what a test makes of them.
"""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agent_api.budget.grants import (
    GrantOrder,
    GrantReceipt,
    Holding,
    Holdings,
    at_moment,
    give_back,
    obey,
    receipt_of,
)
from agent_api.budget.ledger import BudgetLedger, PodState, opened

HOUR = "tokensPerHour"
DAY = "usdPerDay"
AMOUNTS = {HOUR: 1000, DAY: 2500}
START = 1_800_000_000.0
CALM_S = 100.0
"""After which all clocks are in the same window."""
Rules = Any
"""A module with the functions `noted`, `granted`, `reclaimed` and `order_for`."""


@dataclass
class Gateway:
    """One gateway with what its disk holds. `skew_s`: its clock against the operator's."""

    skew_s: float
    holdings: Holdings = field(default_factory=Holdings)
    reserved: Counter[str] = field(default_factory=Counter)
    in_flight: list[int] = field(default_factory=list)
    wanted: int = 0
    seen: list[GrantOrder] = field(default_factory=list)

    def obey(self, order: GrantOrder, now: float) -> GrantReceipt:
        self.seen.append(order)
        self.holdings = obey(self.holdings, order, self.reserved, now + self.skew_s)
        wanted = dict.fromkeys(AMOUNTS, self.wanted) if self.wanted else {}
        return receipt_of(self.holdings, self.reserved, wanted)

    def ask(self, amount: int, now: float) -> bool:
        self.holdings = at_moment(self.holdings, now + self.skew_s)
        held = [(name, self.holdings.held.get(name, Holding(window=0))) for name in AMOUNTS]
        fits = all(each.spent + self.reserved[name] + amount <= each.cap for name, each in held)
        alone = not self.in_flight and all(
            each.spent + amount <= each.cap or (each.overrun and each.spent < each.cap) for _, each in held
        )
        self.wanted = 0 if fits or alone else amount
        if fits or alone:
            self.in_flight.append(amount)
            self.reserved.update(dict.fromkeys(AMOUNTS, amount))
        return fits or alone

    def settle(self, now: float, spent: Counter[tuple[str, int]]) -> None:
        if not self.in_flight:
            return
        self.holdings = at_moment(self.holdings, now + self.skew_s)
        amount = self.in_flight.pop()
        for name in AMOUNTS:
            self.reserved[name] -= amount
            each = self.holdings.held[name]
            spent[name, each.window] += amount
            self.holdings.held[name] = each.model_copy(update={"spent": each.spent + amount})

    def crash(self, now: float, spent: Counter[tuple[str, int]]) -> None:
        """What was on its way counts as spent: it was written down before it was sent."""
        while self.in_flight:
            self.settle(now, spent)
        self.wanted = 0


class World:
    """The cluster. `step` does one random thing."""

    def __init__(self, rng: random.Random, replicas: int, rules: Rules) -> None:
        self.rng = rng
        self.rules = rules
        self.largest = rng.choice((20, 100, 400))
        """Of one request, in each limit."""
        self.calm = False
        self.loss = rng.choice((0.05, 0.05, 0.4))
        self.deaths = rng.choice((1, 1, 6))
        """How often Pods come to an end."""
        self.vanished_at: dict[str, float] = {}
        self.now = START + rng.uniform(1800, 3590)
        self.stored = BudgetLedger()
        self.version = 0
        self.spent: Counter[tuple[str, int]] = Counter()
        self.pods: dict[str, Gateway] = {}
        self.ended: dict[str, GrantReceipt | None] = {}
        self.last: dict[str, GrantReceipt] = {}
        """What gateways have left that were started again."""
        self.unseen: set[str] = set()
        self.cut_off: list[Gateway] = []
        self.late: list[tuple[str, GrantOrder]] = []
        self.operators: list[Iterator[None]] = []
        self.count = 0
        for _ in range(replicas):
            self.add_pod()

    def add_pod(self) -> None:
        self.count += 1
        self.pods[f"pod-{self.count}"] = Gateway(self.rng.choice((0.0, 0.0, -40.0, 40.0)))

    def send(self, uid: str, order: GrantOrder) -> GrantReceipt | None:
        """None when the Pod is gone, or the network loses the order, the receipt, or brings the order later."""
        gateway = self.pods.get(uid)
        fate = 1.0 if self.calm else self.rng.random()
        if gateway is None or fate < self.loss:
            return None
        if fate < self.loss + 0.05:
            self.late.append((uid, order))
            return None
        receipt = gateway.obey(order, self.now)
        return None if fate < 2 * self.loss + 0.05 else receipt

    def operate(self) -> Iterator[None]:
        """One pass, which may be left at any step, or go on long after another one has begun."""
        version, ledger, now = self.version, self.stored, self.now
        ledger = opened(ledger, AMOUNTS, (), (), now)
        before = ledger
        seen = [uid for uid in self.pods if uid not in self.unseen]
        pods = {uid: PodState(uid, receipt=self.last.get(uid)) for uid in seen}
        pods |= {uid: PodState(uid, ended=True, receipt=last) for uid, last in self.ended.items()}
        ledger = self.rules.noted(ledger, pods, now)
        yield
        for uid in seen:
            receipt = self.send(uid, self.rules.order_for(before, PodState(uid), now))
            pods[uid] = PodState(uid, receipt=receipt or pods[uid].receipt)
            yield
        ledger = self.rules.noted(ledger, pods, now)
        for uid, order in self.rules.reclaimed(ledger, pods, now).items():
            receipt = self.send(uid, order)
            pods[uid] = PodState(uid, receipt=receipt or pods[uid].receipt)
            yield
        ledger = self.rules.noted(ledger, pods, now)
        after = self.rules.granted(ledger, pods)
        gone = any(share.gone_at for pool in after.pools for share in pool.shares.values())
        if self.calm or after != ledger or gone or self.rng.random() < 0.1:
            yield
            if self.version != version:
                return  # the API server refuses a write that is based on an older version
            self.version, self.stored = version + 1, after
            yield
            for uid in pods:
                if uid in self.pods:
                    self.send(uid, self.rules.order_for(after, pods[uid], now))
                    yield

    def granted_in_sum(self) -> Counter[tuple[str, int]]:
        """By limit and window: what was spent, and what gateways that run may spend still."""
        sums = Counter(self.spent)
        for gateway in (*self.pods.values(), *self.cut_off):
            for name, each in gateway.holdings.held.items():
                sums[name, each.window] += max(0, each.cap - each.spent)
        return sums

    def step(self) -> None:
        rng = self.rng
        choice = rng.choices(
            (
                *[
                    "operator",
                    "pass",
                    "kill",
                    "spend",
                    "hold",
                    "restart",
                    "replace",
                    "end",
                    "evict",
                    "vanish",
                    "late",
                    "clock",
                    "add",
                    "blind",
                ],
            ),
            (40, 20, 2, 40, 10, 2, 2, 2, self.deaths, 1, 10, 5, 2 + 2 * self.deaths, 3),
        )[0]
        getattr(self, f"do_{choice}")()

    def do_operator(self) -> None:
        """Some steps of a pass, often up to its end."""
        if self.operators:
            each = self.rng.choice(self.operators)
            for _ in range(self.rng.choice((1, 2, 4, 40))):
                if next(each, "ended") == "ended":
                    self.operators.remove(each)
                    return

    def do_pass(self) -> None:
        if len(self.operators) < 2:
            self.operators.append(self.operate())

    def do_kill(self) -> None:
        self.operators.clear()

    def amount(self) -> int:
        return self.rng.choice((self.largest, self.rng.randint(1, self.largest)))

    def pick(self) -> str | None:
        return self.rng.choice(sorted(self.pods)) if self.pods else None

    def do_spend(self) -> None:
        """Requests of one Pod, one after the other, until it has to wait; and of those that nobody reaches."""
        for gateway in [*filter(None, [self.pods.get(self.pick() or "")]), *self.cut_off]:
            for _ in range(self.rng.choice((1, 5, 20))):
                if not gateway.ask(self.amount(), self.now):
                    break
                gateway.settle(self.now, self.spent)

    def do_hold(self) -> None:
        """A request that stays on its way, or ends."""
        if uid := self.pick():
            gateway = self.pods[uid]
            if self.rng.random() < 0.5:
                gateway.ask(self.amount(), self.now)
            else:
                gateway.settle(self.now, self.spent)

    def do_restart(self) -> None:
        if uid := self.pick():
            self.pods[uid].crash(self.now, self.spent)

    def stop(self, uid: str) -> None:
        """SIGTERM: the gateway drains, gives back, and leaves its last receipt."""
        gateway = self.pods[uid]
        gateway.crash(self.now, self.spent)
        gateway.holdings = give_back(at_moment(gateway.holdings, self.now + gateway.skew_s), gateway.reserved)
        self.last[uid] = receipt_of(gateway.holdings, {}, {})

    def do_replace(self) -> None:
        """The container alone is started again."""
        if uid := self.pick():
            self.stop(uid)

    def do_end(self) -> None:
        if uid := self.pick():
            self.stop(uid)
            del self.pods[uid]
            self.ended[uid] = self.last[uid]

    def do_evict(self) -> None:
        """Nothing is left but what an earlier container of the Pod may have left."""
        if uid := self.pick():
            self.pods.pop(uid).crash(self.now, self.spent)
            self.ended[uid] = self.last.get(uid)

    def do_blind(self) -> None:
        """Operators do not see a Pod for a while."""
        if uid := self.pick():
            self.unseen ^= {uid}

    def do_vanish(self) -> None:
        """Deleted by force on a node that nobody reaches: it goes on spending what it has."""
        if uid := self.pick():
            self.cut_off.append(self.pods.pop(uid))
            self.vanished_at[uid] = self.now

    def do_late(self) -> None:
        repeated = [(uid, order) for uid, gateway in self.pods.items() for order in gateway.seen[-8:]]
        if self.late or repeated:
            uid, order = self.rng.choice(self.late + repeated)
            if gateway := self.pods.get(uid):
                gateway.obey(order, self.now)

    def do_clock(self) -> None:
        self.now += self.rng.choice((1.0, 1.0, 20.0, 20.0, 300.0, 1500.0))

    def do_add(self) -> None:
        if len(self.pods) < 4:
            self.add_pod()

    def settle_down(self) -> None:
        """Nothing goes wrong any more: whole passes, one after the other."""
        self.calm, self.unseen = True, set()
        self.now += CALM_S
        self.operators.clear()
        for gateway in self.pods.values():
            gateway.crash(self.now, self.spent)
            gateway.skew_s = 0.0
        self.pass_through()

    def pass_through(self, passes: int = 3) -> None:
        for _ in range(passes):
            for _ in self.operate():
                pass
