"""From route to route until one answers. `decision.decide` says what follows a failure; here it is done.

Everything that may loop is bounded: tries of a provider, tries of a request, one deadline over all of it, and
retries as a share of the traffic.
"""

from collections.abc import Sequence
from typing import Final

from agent_api.gatewayconfig import GatewayConfig
from agent_base.backoff import Backoff
from agent_llmgateway.errors import AttemptError, NotCarriedError, ReturnedError
from agent_llmgateway.failover.attempts import Answer
from agent_llmgateway.failover.breaker import BreakerKey
from agent_llmgateway.failover.deadlines import AttemptDeadlines
from agent_llmgateway.failover.decision import Decision, NextKey, NextRoute, Retry, Return, RouteMemory, decide
from agent_llmgateway.failover.dependencies import (
    FailoverDependencies,
    NoteAttempt,
    Prepare,
    RoutedAnswer,
    RoutePlan,
)
from agent_llmgateway.failover.keychoice import KeyChoice, breaker_key
from agent_llmgateway.failover.requeststate import RequestMemory
from agent_llmgateway.providererrors.causes import HEALTHY, NEUTRAL, Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.providererrors.lessons import NO_OPTIONS, Sent, may_teach, read_lesson
from agent_llmgateway.upstream.keys import Key
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.collect import STREAMED
from agent_llmgateway.wire.envelope import limit_of

TIMER_S: Final = 0.005
"""A timer may wake that much early, and a cool-down that is not over yet is not obeyed."""


class Failover:
    """One request's way through its routes."""

    def __init__(
        self,
        dependencies: FailoverDependencies,
        config: GatewayConfig,
        call: Call,
        plans: Sequence[RoutePlan],
        prepare: Prepare,
        note: NoteAttempt,
    ) -> None:
        self._dependencies = dependencies
        self._config = config
        self._call = call
        self._plans = plans
        self._prepare = prepare
        self._note = note
        self._wires: dict[int, WireRequest | None] = {}
        self._memory = RequestMemory(config, dependencies.clock() + config.limits.deadline_seconds)
        self._keys = KeyChoice(dependencies, self._memory, call.body)

    async def run(self) -> RoutedAnswer:
        """The first answer. Raises ReturnedError, AllRoutesError or, when no route can carry it, NotCarriedError."""
        memory = self._memory
        for place, plan in enumerate(self._plans):
            if memory.is_spent(self._dependencies.clock()):
                break
            wire = None if memory.is_too_small(plan.route) else self._wire_of(place)
            routed = None if wire is None else await self._run_route(place, wire)
            if routed is not None:
                return routed
        raise memory.last_error(self._shortest_cooldown_s())

    async def _run_route(self, place: int, wire: WireRequest) -> RoutedAnswer | None:
        """The answer of one route, or None when the next one has to be asked."""
        plan, memory, provider = self._plans[place], self._memory, self._plans[place].route.provider
        while memory.may_try(provider, self._dependencies.clock()):
            key = self._choose_key(place)
            if key is None:
                return None
            deadlines = self._deadlines(plan, last=place == len(self._plans) - 1)
            outcome = await self._try(plan, wire, key, deadlines)
            if isinstance(outcome, RoutedAnswer):
                return outcome
            if (taught := self._learn(plan, wire, outcome, as_stream=deadlines.as_stream)) is not None:
                wire = taught
                continue
            match await self._decide(place, key, outcome):
                case Return():
                    raise ReturnedError(outcome, provider, memory.records)
                case NextRoute():
                    return None
                case Retry(wait_s):
                    if not self._dependencies.retry_budget.take():
                        return None
                    await self._dependencies.sleep(wait_s + TIMER_S)
                case NextKey():
                    pass
        return None

    def _choose_key(self, place: int) -> Key | None:
        """A key to try with; None, and noted where it has to be, when there is none."""
        plan = self._plans[place]
        chosen = self._keys.choose(plan, is_last=self._is_last(place))
        if isinstance(chosen, Failure):
            self._pass_over(plan, chosen)
        return chosen if isinstance(chosen, Key) else None

    async def _decide(self, place: int, key: Key, failure: Failure) -> Decision:
        plan, memory = self._plans[place], self._memory
        name, now = plan.route.provider, self._dependencies.clock()
        if failure.cause is Cause.STATE:
            memory.note_dead(name, key)
        elif failure.cause is Cause.KEY and memory.note_refused(name, key):
            await plan.provider.keys.refresh()
        is_last = self._is_last(place)
        longest_wait_s = memory.ends_at - now
        if not is_last:  # a wait that is longer than that is better spent at the next route
            longest_wait_s = min(longest_wait_s, *(each.timeouts.first_token for each in self._plans))
        known = RouteMemory(
            retries=memory.retries(plan.route, failure.cause),
            may_try=memory.may_try(name, now),
            has_other_key=self._keys.has_other(plan, key, failure.cause),
            is_last=is_last,
            backoff_s=self._backoff_s(memory.failures_of(plan.route) - 1),
            longest_wait_s=longest_wait_s,
            route_content_filter=self._config.route_content_filter,
        )
        return decide(known, failure)

    async def _try(
        self, plan: RoutePlan, wire: WireRequest, key: Key, deadlines: AttemptDeadlines
    ) -> RoutedAnswer | Failure:
        dependencies, breaker = self._dependencies, breaker_key(plan, key)
        self._memory.note_try(plan.route.provider)
        is_message = wire.dialect.family == "anthropic"
        trial = self._call.meter.begin(plan.route.provider, plan.route.model, is_message=is_message)
        began = dependencies.clock()
        has_verdict = False
        try:
            answer = await dependencies.try_route(
                self._call, wire, plan.provider.key_headers(key), deadlines, self._config.limits
            )
            has_verdict = True
        except AttemptError as error:
            has_verdict = True
            trial.failure = error.failure
            self._judge(plan, breaker, error.failure, dependencies.clock() - began)
            return error.failure
        finally:
            if not has_verdict:
                dependencies.board.release(breaker)
        return self._accept(plan, wire, breaker, answer, dependencies.clock() - began)

    def _learn(self, plan: RoutePlan, wire: WireRequest, failure: Failure, *, as_stream: bool) -> WireRequest | None:
        """What to send on the same route instead, when the refusal says what would have been taken."""
        if not may_teach(failure) or not self._memory.may_try(plan.route.provider, self._dependencies.clock()):
            return None
        field, limit = limit_of(wire.body, wire.dialect.name)
        asks_usage = wire.hides_usage or wire.open_stream is not None
        lesson = read_lesson(failure, Sent(field, limit, as_stream=as_stream, asks_usage=asks_usage))
        if lesson is None:
            return None
        try:
            taught = self._prepare(plan, lesson.options)
        except NotCarriedError:
            return None
        if taught.body == wire.body and not (as_stream and "streamWhole" in lesson.options):
            return None
        if lesson.lasts:
            plan.provider.learn(plan.route.model, lesson.options)
        return taught

    def _accept(
        self, plan: RoutePlan, wire: WireRequest, breaker: BreakerKey, answer: Answer, took_s: float
    ) -> RoutedAnswer:
        board, memory = self._dependencies.board, self._memory
        if answer.stream is None or answer.stream.ended:
            board.succeed(breaker)
        else:
            board.begin(breaker)
        self._dependencies.retry_budget.note_success()
        if wire.read_whole is None:
            self._keys.note_answer(plan, breaker.mark, answer.body or b"")
        memory.upstream_s += took_s
        self._note(memory.note_answer(plan.route, breaker.key, took_s), None)
        return RoutedAnswer(answer, plan, wire, breaker, memory.records, memory.upstream_s)

    def _judge(self, plan: RoutePlan, breaker: BreakerKey, failure: Failure, took_s: float) -> None:
        """Tell the breaker and everybody else what a try has come to."""
        board, limits = self._dependencies.board, self._config.limits
        self._memory.upstream_s += took_s
        if failure.cause in HEALTHY:
            board.succeed(breaker)
        elif failure.cause in NEUTRAL:
            board.release(breaker)
        else:
            board.fail(breaker, failure, threshold=limits.breaker_failures, open_s=limits.breaker_open_seconds)
        self._pass_over(plan, failure, breaker.key, took_s)

    def _pass_over(self, plan: RoutePlan, failure: Failure, key: str = "", took_s: float = 0.0) -> None:
        self._note(self._memory.note_failure(plan.route, failure, key, took_s), failure)

    def _wire_of(self, place: int) -> WireRequest | None:
        """What is sent on a route; None, and noted, when the route cannot carry the request."""
        plan = self._plans[place]
        try:
            return self._wires.pop(place, None) or self._prepare(plan, NO_OPTIONS)
        except NotCarriedError as refusal:
            self._pass_over(plan, Failure(Cause.NOT_CARRIED, 400, refusal.message, param=refusal.param))
            return None

    def _is_last(self, place: int) -> bool:
        """Whether no later route could carry the request."""
        later = range(place + 1, len(self._plans))
        return not later or not any(map(self._can_carry, later))

    def _can_carry(self, place: int) -> bool:
        if place not in self._wires:
            try:
                self._wires[place] = self._prepare(self._plans[place], NO_OPTIONS)
            except NotCarriedError:
                self._wires[place] = None
        return self._wires[place] is not None

    def _backoff_s(self, retry: int) -> float:
        limits = self._config.limits
        return Backoff(limits.backoff_seconds, limits.backoff_max_seconds, low=0.8, high=1.2).pause_s(retry)

    def _deadlines(self, plan: RoutePlan, *, last: bool) -> AttemptDeadlines:
        timeouts, now = plan.timeouts, self._dependencies.clock()
        ends_at = min(self._memory.ends_at, now + timeouts.total)
        if not self._call.stream:  # nothing is seen of a whole answer until it is there
            as_stream = (
                not last and self._call.dialect.name in STREAMED and plan.provider.streams_whole(plan.route.model)
            )
            limit_s = timeouts.first_token if as_stream else timeouts.first_token_last
            return AttemptDeadlines(timeouts, ends_at - now if last else limit_s, 0.0, ends_at, as_stream, now)
        first_token_s = timeouts.first_token_last if last else timeouts.first_token
        hold_s = timeouts.first_token if last else first_token_s + 1.0
        return AttemptDeadlines(timeouts, first_token_s, hold_s, ends_at, began_at=now)

    def _shortest_cooldown_s(self) -> float | None:
        """Until a breaker of these routes lets a probe through."""
        breakers = (breaker_key(plan, key) for plan in self._plans for key in plan.provider.keys.keys)
        return min((wait_s for wait_s in map(self._dependencies.board.remaining_s, breakers) if wait_s), default=None)
