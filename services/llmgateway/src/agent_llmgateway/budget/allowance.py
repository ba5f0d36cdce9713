"""What this gateway may still spend of each limit: held, reserved, and written down before it is spent.

In a Pod the operator grants slices, and what is held is the slice. Without an operator, as on a laptop, a gateway
holds all of its limits itself.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final

from agent_api.budget.grants import GrantOrder, GrantReceipt, Holding, at_moment, give_back, obey, receipt_of
from agent_api.budget.limits import LIMITS, Unit, amounts_of, window_at, window_end
from agent_api.gatewayconfig import GatewayBudget
from agent_llmgateway.budget.holdingsfile import load_holdings, store_holdings

Amounts = Mapping[Unit, int]
WANTED_S: Final = 60.0
"""How long the operator is told of a request that was refused."""
_AHEAD: Final = 64
"""A part of a slice that is written down as spent beforehand."""


@dataclass(frozen=True, slots=True)
class Shortage:
    """The limit that has no room for a request. `spent`: nothing more comes before the window ends."""

    limit: str
    amount: int
    granted: bool
    spent: bool
    ends_at: float | None


@dataclass(slots=True)
class _Wants:
    """What requests need that wait, or were refused not long ago."""

    waiting: dict[int, Amounts] = field(default_factory=dict)
    refused: tuple[float, Amounts] | None = None

    def of(self, unit: Unit, now: float) -> int:
        late = [self.refused[1]] if self.refused and now - self.refused[0] < WANTED_S else []
        return max((each[unit] for each in (*self.waiting.values(), *late)), default=0)


class Allowance:
    """One for the process. `run` names the Pod or the run: a limit per run begins anew with another one."""

    def __init__(self, path: Path, now_epoch_s: Callable[[], float], run: str = "") -> None:
        self._path = path
        self._now = now_epoch_s
        self._holdings = load_holdings(path, run)
        self._written = {name: each.spent for name, each in self._holdings.held.items()}
        self._reserved: Counter[str] = Counter()
        self._unbooked: Counter[str] = Counter()
        """Spent, and not yet in the holdings: those are objects that are made anew, and requests are many."""
        self._exhausted: dict[str, int] = {}
        self._budget = GatewayBudget()
        self._limits: dict[str, int] = {}
        self._names: tuple[str, ...] = ()
        self._turns_at = 0.0
        self._writing = asyncio.Lock()
        self._stale = False
        self.wants = _Wants()

    @property
    def granted(self) -> bool:
        """Whether an operator hands out what may be spent."""
        return self._budget.granted

    @property
    def contact(self) -> float:
        """When the operator was heard of last, in seconds of the epoch; 0 for never."""
        return self._holdings.contact

    def use(self, budget: GatewayBudget) -> None:
        """Keep to these limits from now on."""
        if budget is self._budget:
            return
        self._budget, self._limits = budget, amounts_of(budget)
        self._names = tuple(self._limits)
        self._turns_at = 0.0

    def held(self) -> dict[str, tuple[int, Holding]]:
        """Each limit and what is held of it, in the windows of now."""
        self._turn()
        self._book()
        return {name: (amount, self._held(name)) for name, amount in self._limits.items()}

    def take(self, amounts: Amounts, *, alone: bool) -> Shortage | None:
        """Reserve room for a request, or say what lacks it. One that is alone may go over a limit once."""
        self._turn()
        for name in self._names:
            each = self._holdings.held.get(name) or self._held(name)
            spent = each.spent + self._unbooked[name]
            fits = spent + self._reserved[name] + amounts[LIMITS[name].unit] <= each.cap
            if not fits and not (alone and each.overrun and spent < each.cap):
                self._book()
                return self._shortage(name, self._held(name))
        for name in self._names:
            self._reserved[name] += amounts[LIMITS[name].unit]
        return None

    def names(self) -> tuple[str, ...]:
        """The limits that `take` reserves of."""
        return self._names

    def settle(self, names: Iterable[str], reserved: Amounts, spent: Amounts) -> None:
        """Exchange what was reserved of `names` for what was spent."""
        self._turn()
        for name in names:
            unit = LIMITS[name].unit
            self._reserved[name] -= reserved[unit]
            self._unbooked[name] += spent[unit]
        self._stale = True

    def is_secure(self) -> bool:
        """Whether all that is spent or reserved is on the disk."""
        for name, each in self._holdings.held.items():
            if each.spent + self._unbooked[name] + self._reserved[name] > self._written.get(name, 0):
                return False
        return True

    async def secure(self) -> None:
        """Have it on the disk. Raises OSError."""
        await self._write(ahead=True)

    async def tidy(self) -> None:
        """Write what was spent once nothing is reserved. Raises OSError."""
        if self._stale and not self._reserved.total():
            await self._write(ahead=False)

    async def obey(self, order: GrantOrder) -> GrantReceipt:
        """Do as the operator says; what is told of it is on the disk. Raises OSError."""
        self._book()
        self._holdings = obey(self._holdings, order, self._reserved, self._now())
        self._turns_at = 0.0
        if not order.lowers and order.serial >= self._holdings.serial:
            self._exhausted = {each.limit: each.window for each in order.slices if each.exhausted}
        await self._write(ahead=True)
        self._book()  # what ended meanwhile
        wanted = {name: self.wants.of(kind.unit, self._now()) for name, kind in LIMITS.items()}
        return receipt_of(at_moment(self._holdings, self._now()), self._reserved, wanted)

    async def close(self) -> GrantReceipt:
        """Give back what is not spent, and write that down. Raises OSError."""
        self._turn()
        self._book()
        if self.granted:
            self._holdings = give_back(self._holdings, self._reserved)
            self._reserved.clear()
        await self._write(ahead=False)
        return receipt_of(self._holdings, {}, {})

    def _turn(self) -> None:
        """Into the windows of now, once one of them has ended."""
        now = self._now()
        if now < self._turns_at:
            return
        self._book()
        windows = {name: each.window for name, each in self._holdings.held.items()}
        self._turns_at = min((_end_of(name, now) for name in (*self._limits, *self._holdings.held)), default=inf)
        if self.granted:
            self._holdings = at_moment(self._holdings, now)
        else:
            self._begin_windows(now)
        for name, each in self._holdings.held.items():
            if windows.get(name) != each.window:
                self._written.pop(name, None)  # was of another window

    def _begin_windows(self, now: float) -> None:
        for name, amount in self._limits.items():
            window, each = window_at(LIMITS[name].window, now), self._holdings.held.get(name)
            if each is None or each.window < window:
                self._holdings.held[name] = Holding(window=window, cap=amount, overrun=True)
            elif each.cap != amount:
                self._holdings.held[name] = each.model_copy(update={"cap": amount, "overrun": True})

    def _book(self) -> None:
        """Have in the holdings all that was spent, before they are read as a whole."""
        if self._unbooked:
            for name, amount in self._unbooked.items():
                self._holdings.held[name] = self._held(name).spend(amount)
            self._unbooked.clear()

    def _held(self, name: str) -> Holding:
        return self._holdings.held.get(name) or Holding(window=window_at(LIMITS[name].window, self._now()))

    def _shortage(self, name: str, each: Holding) -> Shortage:
        last = not self.granted or self._exhausted.get(name) == each.window
        spent = last and (each.spent >= each.cap or not self._reserved[name])
        return Shortage(name, self._limits[name], self.granted, spent, window_end(LIMITS[name].window, each.window))

    def _due(self, name: str, each: Holding) -> int:
        return each.spent + self._reserved[name]

    async def _write(self, *, ahead: bool) -> None:
        """One at a time; the newest state, whatever was asked for."""
        async with self._writing:
            self._stale = True
            self._book()
            due = {
                name: max(self._due(name, each), min(each.cap, self._due(name, each) + each.cap // _AHEAD * ahead))
                for name, each in self._holdings.held.items()
            }
            held = {name: each.model_copy(update={"spent": due[name]}) for name, each in self._holdings.held.items()}
            await asyncio.to_thread(store_holdings, self._path, self._holdings.model_copy(update={"held": held}))
            self._written, self._stale = due, ahead


def _end_of(name: str, now: float) -> float:
    """When the window that a limit counts in now ends; a run has no end."""
    window = LIMITS[name].window
    ends_at = window_end(window, window_at(window, now))
    return inf if ends_at is None else ends_at
