"""What the agent may spend, checked before a request is sent and settled from what its tries have cost.

What an answer will take is not known before it is there. So a request reserves the most that it can take (see
`metering`), and while the rest of the budget is smaller than all reservations, requests go one at a time: over the
limit goes at most the one that was in flight.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from agent_api.gatewayconfig import GatewayBudget
from agent_api.gatewayreport import BudgetState
from agent_llmgateway.budget.ledger import DAY_S, HOUR_S, MICRO, Ledger, Spent
from agent_llmgateway.errors import OverBudgetError

LONGEST_WAIT_S: Final = 120.0
"""Of a request for those before it, when the rest of the budget is too small for all of them."""
RETRY_S: Final = 5.0
"""After which a client may ask again that has waited in vain."""


@dataclass(slots=True)
class Reservation:
    """A request in flight. `charge` what it took before it ends; uncharged, it has cost nothing."""

    tokens: int
    micro_usd: int
    charged_tokens: int = 0
    charged_micro_usd: int = 0

    def charge(self, tokens: int, micro_usd: int) -> None:
        """What the answer took."""
        self.charged_tokens += tokens
        self.charged_micro_usd += micro_usd


class Budget:
    """One for the process; limits and prices come with each request's configuration."""

    def __init__(self, ledger: Ledger, now_epoch_s: Callable[[], float]) -> None:
        self._ledger = ledger
        self._now_epoch_s = now_epoch_s
        self._in_flight: list[Reservation] = []
        self._settled = asyncio.Condition()
        self._last_read = Spent()

    def use(self, ledger: Ledger) -> None:
        """Count in another ledger from now on."""
        self._ledger = ledger

    @asynccontextmanager
    async def admit(self, limits: GatewayBudget, tokens: int, micro_usd: int) -> AsyncIterator[Reservation]:
        """A place for one request that takes no more than this. Raises OverBudgetError."""
        reservation = Reservation(tokens, micro_usd)
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                await self._enter(limits, reservation)
        except TimeoutError:
            raise OverBudgetError(
                "What is left of the agent's budget is reserved by requests in flight, "
                f"and none of them ended within {LONGEST_WAIT_S:g} s",
                RETRY_S,
            ) from None
        try:
            yield reservation
        finally:
            await _to_the_end(self._settle(reservation))

    async def state(self, limits: GatewayBudget) -> BudgetState:
        """For the report."""
        spent = await self._read()
        return BudgetState(
            tokens_this_hour=spent.tokens,
            tokens_per_hour=limits.tokens_per_hour,
            usd_today=round(spent.micro_usd / MICRO, 6),
            usd_per_day=limits.usd_per_day,
        )

    @property
    def last_seen(self) -> Spent:
        """What was spent in the windows of now, as far as it was asked for; costs nothing."""
        return self._last_read.at(self._now_epoch_s())

    async def _read(self) -> Spent:
        self._last_read = await self._ledger.read()
        return self._last_read

    async def _enter(self, limits: GatewayBudget, reservation: Reservation) -> None:
        async with self._settled:
            while True:
                spent = await self._read()
                self._check(limits, spent)
                if not self._in_flight or self._fits(limits, spent, reservation):
                    self._in_flight.append(reservation)
                    return
                await self._settled.wait()

    def _check(self, limits: GatewayBudget, spent: Spent) -> None:
        now = self._now_epoch_s()
        if limits.tokens_per_hour is not None and spent.tokens >= limits.tokens_per_hour:
            raise OverBudgetError(
                f"The agent's budget of {limits.tokens_per_hour} tokens per hour is spent", HOUR_S - now % HOUR_S
            )
        if limits.usd_per_day is not None and spent.micro_usd >= limits.usd_per_day * MICRO:
            raise OverBudgetError(
                f"The agent's budget of {limits.usd_per_day:g} USD per day is spent", DAY_S - now % DAY_S
            )

    def _fits(self, limits: GatewayBudget, spent: Spent, reservation: Reservation) -> bool:
        tokens = spent.tokens + reservation.tokens + sum(each.tokens for each in self._in_flight)
        micro_usd = spent.micro_usd + reservation.micro_usd + sum(each.micro_usd for each in self._in_flight)
        return (limits.tokens_per_hour is None or tokens <= limits.tokens_per_hour) and (
            limits.usd_per_day is None or micro_usd <= limits.usd_per_day * MICRO
        )

    async def _settle(self, reservation: Reservation) -> None:
        if reservation.charged_tokens or reservation.charged_micro_usd:
            self._last_read = await self._ledger.add(reservation.charged_tokens, reservation.charged_micro_usd)
        async with self._settled:
            self._in_flight.remove(reservation)
            self._settled.notify_all()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` also when cancelled: a client that has its whole answer may go while that is being counted."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
