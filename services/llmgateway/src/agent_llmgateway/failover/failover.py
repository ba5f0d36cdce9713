"""From route to route until one answers: the table of docs/reference/llmgateway.md as code.

Everything that may loop is bounded: tries of a provider, tries of a request, one deadline over all of it, and
retries as a share of the traffic.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from agent_api.gatewayconfig import GatewayConfig
from agent_llmgateway.errors import AllRoutesError, AttemptError, NotCarriedError, ReturnedError
from agent_llmgateway.failover.attempts import Answer, Window
from agent_llmgateway.failover.breaker import BreakerKey
from agent_llmgateway.failover.plan import NoteAttempt, Prepare, RoutePlan, Tools, Won
from agent_llmgateway.failover.retries import Backoff
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.failures.attempt import AttemptRecord
from agent_llmgateway.failures.failure import Cause, Failure, network_failure, silent_failure
from agent_llmgateway.upstream.keys import Key
from agent_llmgateway.wire.call import Call, WireRequest

_HEALTHY: Final = frozenset({Cause.CONTEXT, Cause.FILTER, Cause.REFUSED})
"""The provider works; it is the request that it will not have."""

_RETRIES: Final = {Cause.SERVER: 1, Cause.UNAVAILABLE: 1, Cause.BROKEN: 1, Cause.RATE_LIMIT: 32}
"""Further tries of the same route by cause; for a told wait the bounds of provider and request are enough."""
TIMER_S: Final = 0.005
"""A timer may wake that much early, and a cool-down that is not over yet is not obeyed."""


class Failover:
    """One request's way through its routes."""

    def __init__(
        self,
        tools: Tools,
        config: GatewayConfig,
        call: Call,
        plans: Sequence[RoutePlan],
        prepare: Prepare,
        note: NoteAttempt,
    ) -> None:
        self._tools = tools
        self._note = note
        self._prepare = prepare
        self._config = config
        self._limits = config.limits
        self._call = call
        self._plans = plans
        self.records: list[AttemptRecord] = []
        """What was tried so far."""
        self._failures: list[Failure] = []
        self._tries: dict[str, int] = {}
        self._dead: frozenset[tuple[str, str]] = frozenset()
        self._refreshed: frozenset[str] = frozenset()
        self._silent: frozenset[Route] = frozenset()
        self._too_small: tuple[Route, ...] = ()
        self._too_long: ReturnedError | None = None
        self._upstream_s = 0.0
        self._ends_at = tools.clock() + config.limits.deadline_seconds

    async def run(self) -> Won:
        """The first answer. Raises ReturnedError, AllRoutesError or, when no route can carry it, NotCarriedError."""
        last = self._plans[-1]
        for plan in self._plans:
            if self._is_spent():
                break
            won = await self._run_route(plan, last=plan is last)
            if won is not None:
                return won
        if self._too_long is not None:
            raise self._too_long
        tried = [failure for failure in self._failures if failure.cause is not Cause.NOT_CARRIED]
        if not tried and self._failures:
            raise NotCarriedError(self._failures[0].message, param=self._failures[0].param)
        first = tried[0] if tried else silent_failure("the deadline passed before a route was tried")
        raise AllRoutesError(first, self.records, self._shortest_wait_s())

    async def _run_route(self, plan: RoutePlan, *, last: bool) -> Won | None:
        """The answer of one route, or None when the next one has to be asked."""
        if plan.route in self._silent or self._is_too_small(plan.route):
            return None
        try:
            wire = self._prepare(plan)
        except NotCarriedError as refusal:
            self._record(plan, Failure(Cause.NOT_CARRIED, 400, refusal.message, param=refusal.param), "", 0.0)
            return None
        causes: list[Cause] = []
        while self._may_try(plan):
            key = self._choose_key(plan, last=last)
            if key is None:
                return None
            outcome = await self._try(plan, wire, key, last=last)
            if isinstance(outcome, Won):
                return outcome
            if await self._has_other_key(plan, key, outcome):
                continue
            causes.append(outcome.cause)
            may_retry = causes.count(outcome.cause) <= _RETRIES.get(outcome.cause, 0)
            if not may_retry or not await self._wait(outcome, len(causes) - 1, last=last):
                return None
        return None

    async def _try(self, plan: RoutePlan, wire: WireRequest, key: Key, *, last: bool) -> Won | Failure:
        tools, provider = self._tools, plan.route.provider
        breaker = _breaker_key(plan, key)
        self._tries[provider] = self._tries.get(provider, 0) + 1
        began = tools.clock()
        failure: Failure | None = None
        verdict = False
        try:
            answer = await tools.try_route(
                self._call, wire, plan.provider.key_headers(key), self._window(plan, began, last=last), self._limits
            )
            verdict = True
            return self._win(plan, wire, breaker, answer, tools.clock() - began)
        except AttemptError as error:
            verdict = True
            failure = error.failure
        finally:
            if not verdict:
                tools.board.release(breaker)
        self._judge(plan, breaker, failure, tools.clock() - began)
        return failure

    def _win(self, plan: RoutePlan, wire: WireRequest, breaker: BreakerKey, answer: Answer, took_s: float) -> Won:
        tools = self._tools
        if answer.stream is None or answer.stream.ended:
            tools.board.succeed(breaker)
        else:
            tools.board.begin(breaker)
        tools.allowance.note_success()
        self._upstream_s += took_s
        record = AttemptRecord(plan.route.provider, plan.route.model, "answered", 200, "", breaker.key, took_s)
        self.records.append(record)
        self._note(record, None)
        return Won(answer, plan, wire, breaker, self.records, self._upstream_s)

    def _judge(self, plan: RoutePlan, breaker: BreakerKey, failure: Failure, took_s: float) -> None:
        """Tell the breaker, remember what rules the next steps, and return what no other route would change."""
        limits = self._limits
        self._upstream_s += took_s
        if failure.cause in _HEALTHY:
            self._tools.board.succeed(breaker)
        else:
            self._tools.board.fail(
                breaker, failure, threshold=limits.breaker_failures, open_s=limits.breaker_open_seconds
            )
        self._record(plan, failure, breaker.key, took_s)
        if failure.cause is Cause.SILENT:
            self._silent |= {plan.route}
        returned = ReturnedError(failure, plan.route.provider, self.records)
        if failure.cause is Cause.CONTEXT:
            self._too_small += (plan.route,)
            self._too_long = self._too_long or returned
        elif failure.cause is Cause.REFUSED or (
            failure.cause is Cause.FILTER and not self._config.route_content_filter
        ):
            raise returned

    def _record(self, plan: RoutePlan, failure: Failure, key: str, took_s: float) -> None:
        record = AttemptRecord(
            plan.route.provider, plan.route.model, failure.cause, failure.status, failure.message, key, took_s
        )
        self.records.append(record)
        self._failures.append(failure)
        self._note(record, failure)

    def _choose_key(self, plan: RoutePlan, *, last: bool) -> Key | None:
        """A key whose breaker lets it through; on the last route any that is not dead."""
        board, name = self._tools.board, plan.route.provider
        living = [key for key in plan.provider.keys.in_turn() if (name, key.mark) not in self._dead]
        for key in living:
            if board.allow(_breaker_key(plan, key)):
                return key
        if not living:
            if not plan.provider.keys.keys:
                self._record(plan, Failure(Cause.KEY, 401, "no key of this provider is mounted"), "", 0.0)
            return None
        if last:
            return min(living, key=lambda key: board.remaining_s(_breaker_key(plan, key)))
        if not self._tries.get(name):
            reason = board.reason(_breaker_key(plan, living[0])) or network_failure("left alone")
            self._record(plan, replace(reason, cause=Cause.SKIPPED, retry_after_s=None), living[0].name, 0.0)
        return None

    async def _has_other_key(self, plan: RoutePlan, key: Key, failure: Failure) -> bool:
        """Whether the same route is to be tried at once with another key."""
        name, keys = plan.route.provider, plan.provider.keys
        if failure.cause is Cause.KEY:
            self._dead |= {(name, key.mark)}
            if name not in self._refreshed:
                self._refreshed |= {name}
                await keys.refresh()
            return any((name, each.mark) not in self._dead for each in keys.keys)
        if failure.cause is Cause.RATE_LIMIT:
            others = [each for each in keys.keys if each.mark != key.mark and (name, each.mark) not in self._dead]
            return any(self._tools.board.state(_breaker_key(plan, each)) == "closed" for each in others)
        return False

    async def _wait(self, failure: Failure, retry: int, *, last: bool) -> bool:
        """Wait for one more try of the same route; False when there is to be none."""
        told_s = failure.retry_after_s
        if failure.cause is Cause.RATE_LIMIT and told_s is None and not last:
            return False
        wait_s = self._backoff_s(retry) if told_s is None else told_s
        if wait_s > self._longest_wait_s(last=last) or not self._tools.allowance.take():
            return False
        await self._tools.sleep(wait_s + TIMER_S)
        return True

    def _backoff_s(self, retry: int) -> float:
        return Backoff(self._limits.backoff_seconds, self._limits.backoff_max_seconds).wait_s(retry)

    def _longest_wait_s(self, *, last: bool) -> float:
        """A told wait is obeyed while the answer can still be in time: for the client, or for the next route."""
        left_s = self._ends_at - self._tools.clock()
        return left_s if last else min(left_s, *(plan.timeouts.first_token for plan in self._plans))

    def _window(self, plan: RoutePlan, now: float, *, last: bool) -> Window:
        timeouts = plan.timeouts
        ends_at = min(self._ends_at, now + timeouts.total)
        if not self._call.stream:  # nothing is seen of a whole answer until it is there
            return Window(timeouts, ends_at - now if last else timeouts.first_token_last, 0.0, ends_at)
        first_token_s = timeouts.first_token_last if last else timeouts.first_token
        return Window(timeouts, first_token_s, timeouts.first_token if last else first_token_s + 1.0, ends_at)

    def _may_try(self, plan: RoutePlan) -> bool:
        return self._tries.get(plan.route.provider, 0) < self._limits.tries_per_provider and not self._is_spent()

    def _is_spent(self) -> bool:
        if not self._tries:
            return False
        return sum(self._tries.values()) >= self._limits.tries_per_request or self._tools.clock() >= self._ends_at

    def _is_too_small(self, route: Route) -> bool:
        """Whether the request is known to be too long for `route`, because a route no smaller refused it."""
        if not self._too_small:
            return False
        size = self._context_of(route)
        refused = (self._context_of(each) for each in self._too_small)
        return route in self._too_small or any(
            size is not None and other is not None and size <= other for other in refused
        )

    def _context_of(self, route: Route) -> int | None:
        sizes = self._config.context_tokens
        return sizes.get(f"{route.provider}/{route.model}", sizes.get(route.model))

    def _shortest_wait_s(self) -> float | None:
        """Until the first of the routes may be asked again, if any said or is known."""
        waits = [failure.retry_after_s for failure in self._failures if failure.retry_after_s is not None]
        breakers = (_breaker_key(plan, key) for plan in self._plans for key in plan.provider.keys.keys)
        waits += [wait_s for wait_s in map(self._tools.board.remaining_s, breakers) if wait_s]
        return min(waits, default=None)


def _breaker_key(plan: RoutePlan, key: Key) -> BreakerKey:
    return BreakerKey(plan.route.provider, plan.route.model, key.name, key.mark)
