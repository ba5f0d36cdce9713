"""The ledger of a budget, as the operator keeps it in the AgentType's status: what was granted to which Pod.

One sum holds at every moment: what Pods may spend in a window, and what ended ones have spent in it, is never above
the limit. So what a Pod was told it may spend counts as spent until its gateway has given some back. `granting` has
the steps that keep it so.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import Field

from agent_api.budget.grants import (
    CARRY_S,
    Amount,
    GrantReceipt,
    LimitName,
    Serial,
    Standing,
    WindowNumber,
)
from agent_api.budget.limits import LIMITS, window_at, window_start
from agent_api.model import Report

MOST_PODS: Final = 500
"""Pods of one agent that get slices."""
MOST_POOLS: Final = 64
SKEW_S: Final = 300.0
"""By how much longer than its gateway the operator believes that a Pod which is gone may carry its slice over."""


class Share(Report):
    """What one Pod holds of a limit in the window. `gone_at`: when it was missed first, 0 while it is there."""

    cap: Amount = 0
    spent: Amount = 0
    gone_at: float = Field(default=0.0, ge=0)

    @property
    def charge(self) -> int:
        """What counts against the limit: all that it may spend, or more where one request went over."""
        return max(self.cap, self.spent)


class Pool(Report):
    """One limit, and of a limit per run the one run. `settled` was spent by Pods that have ended."""

    limit: LimitName
    run: Annotated[str, Field(max_length=64)] = ""
    window: WindowNumber = 0
    amount: Amount = 0
    settled: Amount = 0
    shares: dict[str, Share] = Field(default_factory=dict, max_length=2 * MOST_PODS)
    overrun_pod: Annotated[str, Field(max_length=64)] = Field(
        default="", description="The one that may go over by a request; kept when it has ended and may have done so."
    )

    @property
    def charged(self) -> int:
        """What counts as spent."""
        return self.settled + sum(share.charge for share in self.shares.values())

    @property
    def spent(self) -> int:
        """What gateways have said they spent, at least."""
        return self.settled + sum(share.spent for share in self.shares.values())

    @property
    def free(self) -> int:
        """What may be granted."""
        return max(0, self.amount - self.charged)

    def with_share(self, pod: str, share: Share) -> Self:
        """The pool with another share of a Pod."""
        return self.model_copy(update={"shares": {**self.shares, pod: share}})


class BudgetLedger(Report):
    """`status.llmStatus.budget`: everything the operator has to remember. `serial` grows with each one stored."""

    serial: Serial = 0
    pools: Annotated[tuple[Pool, ...], Field(max_length=MOST_POOLS)] = ()


@dataclass(frozen=True)
class PodState:
    """A Pod of the agent. `run` is the uid of its Job. `ended`: it runs no more, for certain.

    `receipt` is its newest one: of an exchange, or the last one of a gateway that has ended.
    """

    uid: str
    run: str = ""
    ended: bool = False
    receipt: GrantReceipt | None = None

    def standing(self, pool: Pool) -> Standing | None:
        """Of a limit, in the pool's window and run."""
        found = (each for each in (self.receipt.standings if self.receipt else ()) if self.belongs(pool))
        return next((each for each in found if (each.limit, each.window) == (pool.limit, pool.window)), None)

    def belongs(self, pool: Pool) -> bool:
        """Whether the pool is one that this Pod spends from."""
        return LIMITS[pool.limit].window != "run" or pool.run == self.run


def opened(
    ledger: BudgetLedger, amounts: Mapping[str, int], runs: Collection[str], kept: Collection[str], now: float
) -> BudgetLedger:
    """The ledger with a pool for each limit that is set, in the windows of now.

    `runs` are the uids of the Jobs that Pods run for, `kept` those of all Jobs there are: what was spent in one of
    them is remembered until it goes.
    """
    known = {(pool.limit, pool.run): pool for pool in ledger.pools if pool.limit in LIMITS and pool.limit in amounts}
    windows = {name: window_at(LIMITS[name].window, now) for name in amounts}
    fresh = {(name, run) for name in amounts for run in (runs if LIMITS[name].window == "run" else ("",))}
    standing = [key for key in known if key in fresh or key[1] in kept]
    keys = [*standing, *sorted(fresh - set(standing))][:MOST_POOLS]
    pools = (known.get((name, run)) or Pool(limit=name, run=run, window=windows[name]) for name, run in keys)
    current = (_turned(pool, windows[pool.limit]).model_copy(update={"amount": amounts[pool.limit]}) for pool in pools)
    return ledger.model_copy(update={"pools": tuple(current)})


def _turned(pool: Pool, number: int) -> Pool:
    """The pool in a later window, where each Pod has what was left to it; see `grants.carry`."""
    if number <= pool.window:
        return pool
    start = window_start(LIMITS[pool.limit].window, number)
    shares = {
        uid: Share(cap=max(0, share.cap - share.spent), gone_at=share.gone_at)
        for uid, share in pool.shares.items()
        if not share.gone_at or share.gone_at >= start - CARRY_S - SKEW_S
    }
    token = pool.overrun_pod if pool.overrun_pod in shares else ""
    return pool.model_copy(update={"window": number, "settled": 0, "shares": shares, "overrun_pod": token})


def each_pool(ledger: BudgetLedger, change: Callable[[Pool], Pool]) -> BudgetLedger:
    """The ledger with each pool changed."""
    return ledger.model_copy(update={"pools": tuple(change(pool) for pool in ledger.pools)})
