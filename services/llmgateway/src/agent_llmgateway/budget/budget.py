"""What the agent may spend, checked before a request is sent and settled from what its answer says it took.

What an answer will take is not known before it is there. So a request reserves the most it can be expected to
take, and while the rest of the budget is smaller than all reservations, requests go one at a time: over the limit
goes at most the one that was in flight.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from agent_api.gatewayconfig import GatewayBudget, GatewayConfig
from agent_api.gatewayreport import BudgetState
from agent_llmgateway.budget.ledger import DAY_S, HOUR_S, MICRO, Ledger, Spent
from agent_llmgateway.budget.price import cost_micro_usd
from agent_llmgateway.errors import OverBudgetError
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.wire.usage import Usage

USUAL_OUTPUT_TOKENS: Final = 4096
"""Reserved for an answer whose request sets no limit; more when a longer answer has been seen."""
BYTES_PER_TOKEN: Final = 4
"""Only for answers whose provider does not say what they took."""


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
        self._longest_output = USUAL_OUTPUT_TOKENS
        self._last_read = Spent()

    def use(self, ledger: Ledger) -> None:
        """Count in another ledger from now on."""
        self._ledger = ledger

    @asynccontextmanager
    async def admit(
        self, config: GatewayConfig, routes: Sequence[Route], body_bytes: int, output_limit: int | None
    ) -> AsyncIterator[Reservation | None]:
        """A place for one request; None when nothing is limited. Raises OverBudgetError."""
        limits = config.budget
        if limits.tokens_per_hour is None and limits.usd_per_day is None:
            yield None
            return
        reservation = self._estimate(config, routes, body_bytes, output_limit)
        await self._enter(limits, reservation)
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

    def note_output(self, usage: Usage | None) -> None:
        """Learn how long answers get."""
        if usage is not None:
            self._longest_output = max(self._longest_output, usage.output_tokens)

    def _estimate(
        self, config: GatewayConfig, routes: Sequence[Route], body_bytes: int, output_limit: int | None
    ) -> Reservation:
        output = output_limit or self._longest_output
        costs = [cost_micro_usd(config, route, Usage(body_bytes, output)) for route in routes]
        return Reservation(body_bytes + output, max((cost for cost in costs if cost is not None), default=0))

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


def assume_usage(body_bytes: int, output_events: int) -> Usage:
    """What is charged, and only charged, for an answer whose usage is unknown: an agent cannot spend by not asking."""
    return Usage(-(-body_bytes // BYTES_PER_TOKEN), output_events)
