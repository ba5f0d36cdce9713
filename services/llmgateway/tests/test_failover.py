"""The table of failover, in virtual time: what is tried, in which order, after which wait."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from yarl import URL

from agent_api.gatewayconfig import GatewayConfig, GatewayLimits, Timeouts
from agent_base.backoff import Backoff
from agent_llmgateway.errors import AllRoutesError, AttemptError, NotCarriedError, ReturnedError
from agent_llmgateway.failover.attempts import Answer
from agent_llmgateway.failover.breaker import BreakerBoard, BreakerKey
from agent_llmgateway.failover.deadlines import AttemptDeadlines
from agent_llmgateway.failover.dependencies import FailoverDependencies, RoutedAnswer, RoutePlan
from agent_llmgateway.failover.failover import Failover
from agent_llmgateway.failover.retries import RetryBudget
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.http.problems import status_of_all
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.providererrors.lessons import Options
from agent_llmgateway.upstream.keys import NO_KEY, Key
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.envelope import Envelope

OK = Failure(Cause.SKIPPED, 200, "an answer")
Script = dict[str, list[Failure]]


def failure(cause: Cause, status: int = 503, wait_s: float | None = None) -> Failure:
    return Failure(cause, status, cause.value, retry_after_s=wait_s)


class Pool:
    def __init__(self, *names: str, after_refresh: Sequence[str] = ()) -> None:
        self.keys: tuple[Key, ...] = tuple(Key(name, name, name) for name in names) or (NO_KEY,)
        self.after_refresh = after_refresh
        self.refreshes = 0

    def in_turn(self) -> tuple[Key, ...]:
        return self.keys

    async def refresh(self) -> None:
        self.refreshes += 1
        if self.after_refresh:
            self.keys = tuple(Key(name, name, name) for name in self.after_refresh)


class Provider:
    def __init__(self, name: str, pool: Pool) -> None:
        self.name = name
        self.keys: Any = pool
        self.options: dict[str, Any] = {}

    def streams_whole(self, model: str) -> bool:
        assert model
        return self.options.get("streamWhole") is not False

    def learn(self, model: str, options: Options) -> None:
        assert model
        self.options.update(options)

    def key_headers(self, key: Key) -> dict[str, str]:
        return {"key": key.name}


class World:
    """Routes that answer by a script; the last line of a script is repeated."""

    def __init__(
        self, script: Script, *, pools: dict[str, Pool] | None = None, stream: bool = True, **limits: Any
    ) -> None:
        self.script = script
        self.tried: list[str] = []
        self.waits: list[float] = []
        self.deadlines: list[AttemptDeadlines] = []
        self.now = 0.0
        self.board = BreakerBoard(lambda: self.now)
        self.retry_budget = RetryBudget(ratio=limits.get("retry_ratio", 0.2))
        self.pools = pools or {}
        self.config = GatewayConfig.model_validate(
            {
                "agent": "a",
                "providers": [{"name": name, "type": "mock"} for name in script],
                "limits": GatewayLimits(**limits),
                "context_tokens": {"small": 100, "tiny": 50, "large": 1000},
            }
        )
        self.stream = stream
        self.took_s = 0.0
        self.noted: list[Any] = []
        self.limits: list[int] = []

    async def try_route(
        self, call: Call, wire: WireRequest, headers: dict[str, str], deadlines: AttemptDeadlines, limits: GatewayLimits
    ) -> Answer:
        assert (call.model, limits) == ("auto", self.config.limits)
        name = wire.url.host or ""
        key = headers["key"]
        self.tried.append(f"{name}/{key}" if key else name)
        self.deadlines.append(deadlines)
        self.limits.append(json.loads(wire.body)["max_tokens"])
        self.now += self.took_s
        steps = self.script[name]
        step = steps.pop(0) if len(steps) > 1 else steps[0]
        if step is OK:
            return Answer({}, b"{}")
        raise AttemptError(step)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def failover(self) -> Failover:
        dialect = DIALECTS["chat"]
        call = Call(dialect, b"{}", Envelope("auto"), "auto", self.stream, "live", {})
        plans = [
            RoutePlan(
                Route(name, name),
                Provider(name, self.pools.setdefault(name, Pool())),
                Timeouts(),
            )
            for name in self.script
        ]
        dependencies = FailoverDependencies(
            board=self.board,
            retry_budget=self.retry_budget,
            try_route=self.try_route,
            clock=lambda: self.now,
            sleep=self.sleep,
        )

        def prepare(plan: RoutePlan, taught: Options) -> WireRequest:
            document = {"model": "m", "max_tokens": taught.get("maxOutputTokens", 64_000)}
            return WireRequest(URL(f"http://{plan.route.provider}/"), json.dumps(document).encode(), {}, dialect)

        failover = Failover(dependencies, self.config, call, plans, prepare, lambda *seen: self.noted.append(seen))
        backoff = Backoff(0.5, 8, low=0.8, high=1.2, chance=lambda: 0.5)
        failover._backoff_s = backoff.pause_s  # type: ignore[method-assign, assignment]
        return failover

    def run(self) -> RoutedAnswer:
        return asyncio.run(self.failover().run())


def test_a_refused_key_is_read_again_once_and_a_new_value_is_tried_at_once() -> None:
    world = World({"a": [failure(Cause.KEY, 401), OK], "b": [OK]}, pools={"a": Pool("old", after_refresh=["new"])})
    world.run()
    assert world.tried == ["a/old", "a/new"]
    assert world.waits == []
    assert world.pools["a"].refreshes == 1


def test_a_refused_key_that_stays_the_same_is_dead_for_the_request() -> None:
    world = World({"a": [failure(Cause.KEY, 403)], "b": [OK]}, pools={"a": Pool("only")})
    assert world.run().plan.route.provider == "b"
    assert world.tried == ["a/only", "b"]
    assert world.waits == []


def test_every_key_of_a_pool_is_tried_but_no_more_than_three() -> None:
    world = World({"a": [failure(Cause.KEY, 401)], "b": [OK]}, pools={"a": Pool("k1", "k2", "k3", "k4", "k5")})
    world.run()
    assert world.tried == ["a/k1", "a/k2", "a/k3", "b"]


def test_a_rate_limited_key_gives_way_to_the_next_without_a_wait() -> None:
    world = World({"a": [failure(Cause.RATE_LIMIT, 429, 60), OK], "b": [OK]}, pools={"a": Pool("k1", "k2")})
    world.run()
    assert world.tried == ["a/k1", "a/k2"]
    assert world.waits == []


@pytest.mark.parametrize("wait_s,tried", [(5.0, ["a", "a"]), (31.0, ["a", "b"])])
def test_a_told_wait_is_obeyed_when_the_next_route_would_not_be_faster(wait_s: float, tried: list[str]) -> None:
    """30 s is when the next route is asked anyway."""
    world = World({"a": [failure(Cause.RATE_LIMIT, 429, wait_s), OK], "b": [OK]})
    world.run()
    assert world.tried == tried
    assert world.waits == ([pytest.approx(wait_s, abs=0.01)] if tried == ["a", "a"] else [])


@pytest.mark.parametrize("wait_s,answered", [(100.0, True), (700.0, False)])
def test_on_the_last_route_a_told_wait_is_obeyed_when_it_fits_in_the_deadline(wait_s: float, *, answered: bool) -> None:
    world = World({"a": [failure(Cause.RATE_LIMIT, 429, wait_s), OK]})
    if answered:
        world.run()
        assert world.waits == [pytest.approx(wait_s, abs=0.01)]
        return
    with pytest.raises(AllRoutesError) as failed:
        world.run()
    assert failed.value.wait_s == pytest.approx(wait_s)
    assert status_of_all(failed.value) == 429


def test_a_500_is_tried_once_more_after_a_back_off() -> None:
    world = World({"a": [failure(Cause.SERVER, 500)], "b": [OK]})
    world.run()
    assert world.tried == ["a", "a", "b"]
    assert world.waits == [pytest.approx(0.5, abs=0.01)]


def test_a_silent_one_is_never_waited_for_twice() -> None:
    world = World({"a": [failure(Cause.SILENT, 504)], "b": [failure(Cause.SILENT, 504)]})
    with pytest.raises(AllRoutesError) as failed:
        world.run()
    assert world.tried == ["a", "b"]
    assert status_of_all(failed.value) == 502


def test_the_first_token_limit_is_short_while_another_route_is_left_and_long_on_the_last() -> None:
    world = World({"a": [failure(Cause.SILENT, 504)], "b": [OK]})
    world.run()
    assert [deadlines.first_token_s for deadlines in world.deadlines] == [30.0, 120.0]


def test_a_whole_answer_is_asked_for_as_a_stream_while_another_route_is_left() -> None:
    world = World({"a": [failure(Cause.SILENT, 504)], "b": [OK]}, stream=False)
    world.run()
    assert [(each.first_token_s, each.as_stream) for each in world.deadlines] == [(30.0, True), (600.0, False)]


def test_six_tries_are_the_most() -> None:
    world = World({name: [failure(Cause.UNAVAILABLE)] for name in "abcdef"}, retry_ratio=1.0)
    with pytest.raises(AllRoutesError):
        world.run()
    assert world.tried == ["a", "a", "b", "b", "c", "c"]


def test_one_deadline_is_over_all_tries() -> None:
    world = World({name: [failure(Cause.UNAVAILABLE)] for name in "abc"}, deadline_seconds=100)
    world.took_s = 60
    with pytest.raises(AllRoutesError):
        world.run()
    assert len(world.tried) == 2
    assert world.deadlines[1].ends_at == 100


def test_too_long_for_one_goes_to_a_larger_one_only() -> None:
    world = World({"small": [failure(Cause.CONTEXT, 400)], "tiny": [OK], "large": [OK]})
    assert world.run().plan.route.provider == "large"
    assert world.tried == ["small", "large"]


def test_too_long_for_all_is_returned_as_it_is() -> None:
    world = World({"small": [failure(Cause.CONTEXT, 400)], "tiny": [OK]})
    with pytest.raises(ReturnedError) as returned:
        world.run()
    assert returned.value.failure.status == 400


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.FILTER])
def test_a_refusal_is_returned_and_closes_no_route(cause: Cause) -> None:
    world = World({"a": [failure(cause, 400)], "b": [OK]}, breaker_failures=1)
    with pytest.raises(ReturnedError):
        world.run()
    assert world.tried == ["a"]
    assert world.board.state(BreakerKey("a", "a")) == "closed"


def test_an_open_route_is_passed_over_with_what_it_said_last() -> None:
    world = World({"a": [failure(Cause.RATE_LIMIT, 429, 300)], "b": [failure(Cause.RATE_LIMIT, 429, 700)]})
    with pytest.raises(AllRoutesError):
        world.run()
    with pytest.raises(AllRoutesError) as failed:
        world.run()
    assert world.tried == ["a", "b", "b"]
    assert failed.value.first.message == "rate_limited"
    assert [record.outcome for record in failed.value.attempts] == ["breaker_open", "rate_limited"]
    assert failed.value.wait_s == pytest.approx(300, abs=1)
    assert status_of_all(failed.value) == 429


def test_without_retries_left_each_route_is_tried_once() -> None:
    world = World({"a": [failure(Cause.UNAVAILABLE)], "b": [failure(Cause.UNAVAILABLE)]}, breaker_failures=1000)
    for _ in range(100):
        world.retry_budget.note_request()
        with pytest.raises(AllRoutesError):
            world.run()
    retries = len(world.tried) - 200
    assert retries <= 10 + 0.2 * 100


def test_a_cancelled_try_gives_its_probe_back() -> None:
    world = World({"a": [OK]})
    key = BreakerKey("a", "a")
    world.board.fail(key, failure(Cause.RATE_LIMIT, 429, 1), threshold=5, open_s=1)
    world.now = 2

    async def leave() -> None:
        async def hang(*_: Any) -> Answer:
            await asyncio.sleep(60)
            raise AssertionError

        world.try_route = hang  # type: ignore[method-assign,assignment]
        task = asyncio.ensure_future(world.failover().run())
        await asyncio.sleep(0.01)
        assert not world.board.allow(key)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(leave())
    assert world.board.allow(key)


def test_a_request_that_no_route_can_carry_is_refused_by_name() -> None:
    world = World({"a": [OK]})

    def refuse(plan: RoutePlan, taught: Options) -> WireRequest:
        raise NotCarriedError(f"`seed` cannot be carried to {plan.route.provider}", param="seed")

    failover = world.failover()
    failover._prepare = refuse
    with pytest.raises(NotCarriedError) as refused:
        asyncio.run(failover.run())
    assert refused.value.param == "seed"
    assert world.tried == []


TOO_LARGE = Failure(Cause.REFUSED, 400, "max_tokens: 64000 > 8192, which is the maximum allowed number")


def test_a_limit_that_a_provider_tells_is_kept_at_once_and_from_then_on() -> None:
    world = World({"a": [TOO_LARGE, OK], "b": [OK]})
    failover = world.failover()
    asyncio.run(failover.run())
    assert (world.tried, world.limits, world.waits) == (["a", "a"], [64_000, 8192], [])
    assert failover._plans[0].provider.options == {"maxOutputTokens": 8192}  # type: ignore[attr-defined]


def test_what_a_context_leaves_is_not_remembered() -> None:
    told = "maximum context length is 32768 tokens and your request has 768 input tokens"
    world = World({"a": [Failure(Cause.CONTEXT, 400, told), OK], "b": [OK]})
    failover = world.failover()
    asyncio.run(failover.run())
    assert (world.tried, world.limits) == (["a", "a"], [64_000, 31_500])
    assert failover._plans[0].provider.options == {}  # type: ignore[attr-defined]


def test_a_provider_that_is_never_content_is_left_after_its_tries() -> None:
    world = World({"a": [replace(TOO_LARGE, message=f"max_tokens: 64000 > {limit}") for limit in (9000, 8000, 7000)]})
    with pytest.raises(ReturnedError):
        world.run()
    assert len(world.tried) == 3


def test_a_provider_that_refuses_a_stream_is_asked_for_the_whole() -> None:
    unverified = Failure(Cause.UNSUITED, 400, "Your organization must be verified to stream this model", param="stream")
    world = World({"a": [unverified, OK], "b": [OK]}, stream=False)
    world.run()
    assert world.tried == ["a", "a"]
    assert [each.as_stream for each in world.deadlines] == [True, False]
