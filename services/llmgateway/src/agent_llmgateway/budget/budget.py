"""What the agent may spend, checked before a request is sent and settled from what its tries have cost.

What an answer will take is not known before it is there. So a request reserves the most that it can take (see
`metering`), and while the rest of the budget is smaller than all reservations, requests go one at a time: over the
limit goes at most the one that was in flight. Where an operator grants the budget in slices, a request that its Pod's
slice has no room for waits a while for a larger one.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from agent_api.budget.grants import GrantOrder, GrantReceipt
from agent_api.budget.limits import LIMITS, MICRO, Unit, show_amount, window_end
from agent_api.gatewayconfig import GatewayBudget
from agent_api.gatewayreport import BudgetState, LimitState
from agent_llmgateway.budget.allowance import Allowance, Amounts, Shortage
from agent_llmgateway.errors import BudgetUnavailableError, OverBudgetError
from agent_llmgateway.settings import GRANT_WAIT_S

LONGEST_WAIT_S: Final = 120.0
"""Of a request for those before it, when the rest of the budget is too small for all of them."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"
RETRY_S: Final = 5.0
"""After which a client may ask again that has waited in vain."""
TIDY_S: Final = 5.0
"""Between two looks whether the file is ahead of the count: the next request waits for the disk after each."""
_log = logging.getLogger(__name__)


class Reservation:
    """A request in flight. `charge` what it took before it ends; uncharged, it has cost nothing."""

    __slots__ = ("amounts", "charged", "limits")

    def __init__(self, tokens: int, micro_usd: int) -> None:
        self.amounts: Amounts = {"tokens": tokens, "microUSD": micro_usd}
        self.charged: dict[Unit, int] = {"tokens": 0, "microUSD": 0}
        self.limits: tuple[str, ...] = ()

    def charge(self, tokens: int, micro_usd: int) -> None:
        """What the answer took."""
        self.charged["tokens"] += tokens
        self.charged["microUSD"] += micro_usd


class Admission:
    """The place of one request in a budget, from its `async with` to the end of that."""

    __slots__ = ("_budget", "_reservation")

    def __init__(self, budget: "Budget", reservation: Reservation) -> None:
        self._budget = budget
        self._reservation = reservation

    async def __aenter__(self) -> Reservation:
        await self._budget.enter(self._reservation)
        return self._reservation

    async def __aexit__(self, *_: object) -> None:
        self._budget.leave(self._reservation)


class Budget:
    """One for the process; limits and prices come with each request's configuration."""

    def __init__(
        self, allowance: Allowance, now_epoch_s: Callable[[], float], *, grant_wait_s: float = GRANT_WAIT_S
    ) -> None:
        self._allowance = allowance
        self._grant_wait_s = grant_wait_s
        self._now_epoch_s = now_epoch_s
        self._in_flight = 0
        self._waiting: dict[asyncio.Future[None], None] = {}

    def admit(self, limits: GatewayBudget, tokens: int, micro_usd: int) -> Admission:
        """A place for one request that takes no more than this. To enter it raises OverBudgetError."""
        self._allowance.use(limits)
        return Admission(self, Reservation(tokens, micro_usd))

    async def enter(self, reservation: Reservation) -> None:
        """Reserve; once this returns, `leave` has to be called. Raises OverBudgetError."""
        shortage = self._take(reservation)
        if shortage is not None:
            await self._wait_for_room(reservation, shortage)
        reservation.limits = self._allowance.names()
        self._in_flight += 1
        if not self._allowance.is_secure():
            try:
                await self._secure()
            except BaseException:
                self.leave(reservation)
                raise

    def leave(self, reservation: Reservation) -> None:
        """Exchange what was reserved for what was charged."""
        self._allowance.settle(reservation.limits, reservation.amounts, reservation.charged)
        self._in_flight -= 1
        if self._waiting:
            self._wake()

    def check(self, limits: GatewayBudget) -> None:
        """Raises OverBudgetError when nothing is left, for a request that nothing is known of yet."""
        self._allowance.use(limits)
        least = Reservation(0, 0)
        shortage = self._allowance.take(least.amounts, alone=True)
        if shortage is not None and shortage.spent:
            raise self._refuse(shortage, Reservation(1, 1))

    def state(self, limits: GatewayBudget) -> BudgetState:
        """For the report and the gauges."""
        self._allowance.use(limits)
        states = []
        for name, (amount, holding) in self._allowance.held().items():
            kind, ends_at = LIMITS[name], window_end(LIMITS[name].window, holding.window)
            scale = 1 if kind.unit == "tokens" else MICRO
            states.append(
                LimitState(
                    name=name,
                    limit=amount / scale,
                    granted=holding.cap / scale,
                    spent=holding.spent / scale,
                    resets_at="" if ends_at is None else datetime.fromtimestamp(ends_at, UTC).strftime(_TIME),
                )
            )
        by_name = {each.name: each for each in states}
        hour, day = by_name.get("tokensPerHour"), by_name.get("usdPerDay")
        return BudgetState(
            tokens_this_hour=int(hour.spent) if hour else 0,
            tokens_per_hour=limits.tokens_per_hour,
            usd_today=day.spent if day else 0,
            usd_per_day=limits.usd_per_day,
            limits=tuple(states),
        )

    async def obey(self, order: GrantOrder) -> GrantReceipt:
        """Take an order of the operator. Raises OSError when it cannot be written down."""
        receipt = await self._allowance.obey(order)
        self._wake()
        return receipt

    async def run(self) -> None:
        """Keep the file near the count, for ever."""
        while True:
            await asyncio.sleep(TIDY_S)
            try:
                await self._allowance.tidy()
            except OSError as error:
                _log.warning("the file of the budget cannot be written: %s", error.strerror)

    async def close(self) -> GrantReceipt | None:
        """Give back what is not spent; the last receipt, where there is somebody to read it."""
        try:
            receipt = await self._allowance.close()
        except OSError as error:
            _log.warning("the file of the budget cannot be written: %s", error.strerror)
            return None
        return receipt if self._allowance.granted else None

    def _take(self, reservation: Reservation) -> Shortage | None:
        return self._allowance.take(reservation.amounts, alone=not self._in_flight)

    async def _wait_for_room(self, reservation: Reservation, shortage: Shortage | None) -> None:
        """Until it has been taken. Raises OverBudgetError."""
        wants = self._allowance.wants
        try:
            async with asyncio.timeout(LONGEST_WAIT_S) as clock:
                while shortage is not None:
                    if shortage.spent:
                        raise self._refuse(shortage, reservation)
                    if shortage.granted and id(reservation) not in wants.waiting:
                        clock.reschedule(asyncio.get_running_loop().time() + self._grant_wait_s)
                    wants.waiting[id(reservation)] = reservation.amounts
                    await self._next_change()
                    shortage = self._take(reservation)
        except TimeoutError:
            raise self._refuse_late(shortage, reservation) from None
        finally:
            wants.waiting.pop(id(reservation), None)

    async def _next_change(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        try:
            await turn
        finally:
            del self._waiting[turn]

    def _wake(self) -> None:
        """Let all that wait look again, in the order in which they came."""
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    async def _secure(self) -> None:
        try:
            await self._allowance.secure()
        except OSError as error:
            text = f"what it may spend cannot be written down ({error.strerror})"
            if self._allowance.granted:
                raise BudgetUnavailableError(f"The request was not sent: {text}", RETRY_S) from error
            _log.warning("%s: a restart would forget what was spent", text)

    def _refuse(self, shortage: Shortage, reservation: Reservation) -> OverBudgetError:
        kind, now = LIMITS[shortage.limit], self._now_epoch_s()
        self._allowance.wants.refused = (now, reservation.amounts)
        shown = show_amount(kind, shortage.amount).removesuffix(".00")
        wait_s = RETRY_S if shortage.ends_at is None else max(1.0, shortage.ends_at - now)
        return OverBudgetError(f"The agent's budget of {shown} {kind.words} is spent", wait_s)

    def _refuse_late(self, shortage: Shortage | None, reservation: Reservation) -> OverBudgetError:
        now = self._now_epoch_s()
        if shortage is None or not shortage.granted:
            return OverBudgetError(
                "What is left of the agent's budget is reserved by requests in flight, "
                f"and none of them ended within {LONGEST_WAIT_S:g} s",
                RETRY_S,
            )
        self._allowance.wants.refused = (now, reservation.amounts)
        kind, contact = LIMITS[shortage.limit], self._allowance.contact
        heard = f"was heard of {now - contact:.0f} s ago" if contact else "was never heard of"
        shown = show_amount(kind, shortage.amount).removesuffix(".00")
        return BudgetUnavailableError(
            f"This Pod's part of the budget of {shown} {kind.words} is used up, and the operator, which {heard}, has "
            f"granted no more within {self._grant_wait_s:g} s",
            RETRY_S,
        )
