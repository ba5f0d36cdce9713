"""Silence in virtual time: 200 ms after a provider falls silent past its limit, the next one has been asked."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, cast

import looptime
import pytest
from yarl import URL

from agent_api.gatewayconfig import GatewayConfig, Timeouts
from agent_llmgateway.errors import AttemptError
from agent_llmgateway.failover.attempts import Attempts
from agent_llmgateway.failover.breaker import BreakerBoard
from agent_llmgateway.failover.dependencies import FailoverDependencies, RoutePlan
from agent_llmgateway.failover.failover import Failover
from agent_llmgateway.failover.retries import RetryBudget
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.providererrors.classify import silent_failure
from agent_llmgateway.providererrors.lessons import Options
from agent_llmgateway.upstream.connections import UpstreamResponse
from agent_llmgateway.upstream.keys import NO_KEY, Key, KeyPool
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.envelope import Envelope

LIMIT_S = 7.0
WHOLE_S = 100.0
NEXT_WITHIN_S = 0.2
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
WHOLE = b'{"choices":[{"message":{"content":"hello"},"finish_reason":"stop"}]}'
Line = tuple[float, bytes]


class Response:
    """Chunks at their times, in seconds from the last one; then silence, or the end after an empty chunk."""

    def __init__(self, content_type: str, lines: list[Line]) -> None:
        self.status = 200
        self.headers = {"content-type": content_type}
        self._lines = lines

    async def read_chunk(self, timeout_s: float) -> bytes:
        pause_s, chunk = self._lines[0] if self._lines else (1e9, b"")
        if pause_s > timeout_s:
            await asyncio.sleep(timeout_s)
            raise AttemptError(silent_failure("nothing came"))
        await asyncio.sleep(pause_s)
        self._lines.pop(0)
        return chunk

    def read_ready(self) -> bytes | None:
        return None

    async def peek(self, timeout_s: float) -> bytes:
        chunk = await self.read_chunk(timeout_s)
        self._lines.insert(0, (0.0, chunk))
        return chunk

    async def skip_blank(self, timeout_s: float) -> None:
        left_s = timeout_s
        while self._lines and not self._lines[0][1].strip():
            pause_s, _ = self._lines.pop(0)
            await asyncio.sleep(min(pause_s, left_s))
            left_s -= pause_s
            if left_s < 0:
                raise AttemptError(silent_failure("nothing came"))

    async def read_all(self, limit_bytes: int, idle_s: float, total_s: float, hold: Any) -> bytes:
        assert limit_bytes
        assert hold(1)
        return await self.read_chunk(min(idle_s, total_s))

    def close(self) -> None:
        pass


class World:
    """A main that answers as told, and a backup that answers at once. `asked` has who was asked when."""

    def __init__(self, lines: list[Line] | None, content_type: str) -> None:
        self.lines = lines
        self.content_type = content_type
        self.asked: list[tuple[str, float]] = []

    async def post(
        self, url: URL, body: bytes, headers: Mapping[str, str], *, connect_s: float, headers_s: float
    ) -> UpstreamResponse:
        assert body
        assert connect_s
        del headers
        self.asked.append((url.host or "", asyncio.get_running_loop().time()))
        if url.host == "main" and self.lines is None:
            await asyncio.sleep(headers_s)
            raise AttemptError(silent_failure("no answer"))
        if url.host == "main":
            return cast("UpstreamResponse", Response(self.content_type, list(self.lines or ())))
        streamed = b'"stream":true' in body.replace(b" ", b"")
        lines = [(0.0, CHUNK), (0.0, END), (0.0, b"")] if streamed else [(0.0, WHOLE)]
        return cast("UpstreamResponse", Response("text/event-stream" if streamed else "application/json", lines))


class Provider:
    def __init__(self, name: str) -> None:
        self.name = name
        self.keys = KeyPool(None, needs_key=False)

    def streams_whole(self, model: str) -> bool:
        return bool(model)

    def learn(self, model: str, options: Options) -> None:
        raise AssertionError((model, options))

    def key_headers(self, key: Key) -> dict[str, str]:
        assert key == NO_KEY
        return {}


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    assert isinstance(made, asyncio.BaseEventLoop)
    loop = looptime.patch_event_loop(made, start=0)
    yield loop
    loop.close()


PING = b": ping\n\n"
ROLE = b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n'
SILENCES: dict[str, tuple[list[Line] | None, float]] = {
    "not even headers": (None, LIMIT_S),
    "nothing behind the headers": ([], LIMIT_S),
    "pings and no output": ([(1.0, PING)] * 100, LIMIT_S),
    "a beginning without output": ([(0.5, ROLE)], LIMIT_S),
    "a beginning, late": ([(LIMIT_S - 0.1, ROLE)], LIMIT_S),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("silence", SILENCES)
def test_the_next_provider_is_asked(loop: asyncio.AbstractEventLoop, silence: str, *, stream: bool) -> None:
    lines, limit_s = SILENCES[silence]
    assert ask(loop, lines, stream=stream) == pytest.approx(limit_s, abs=NEXT_WITHIN_S)


def test_a_whole_answer_that_stops_in_the_middle_is_left_after_the_idle_limit(loop: asyncio.AbstractEventLoop) -> None:
    assert ask(loop, [(1.0, CHUNK), (1.0, CHUNK)], stream=False) == pytest.approx(2 + 3, abs=NEXT_WITHIN_S)


def test_white_space_is_no_beginning_of_a_whole_answer(loop: asyncio.AbstractEventLoop) -> None:
    """Some servers answer a request for a stream with one document, and keep the connection by blanks until then."""
    asked_at = ask(loop, [(1.0, b" \n")] * 500, stream=False, content_type="application/json")
    assert asked_at == pytest.approx(WHOLE_S, abs=NEXT_WITHIN_S)


def ask(
    loop: asyncio.AbstractEventLoop, lines: list[Line] | None, *, stream: bool, content_type: str = "text/event-stream"
) -> float:
    """When the backup was asked."""
    world, dialect = World(lines, content_type), DIALECTS["chat"]
    timeouts = Timeouts(first_token=LIMIT_S, first_token_last=WHOLE_S, idle=3)
    plans = [RoutePlan(Route(name, "m"), Provider(name), timeouts) for name in ("main", "backup")]
    body = b'{"model":"m","messages":[],"stream":true}' if stream else b'{"model":"m","messages":[]}'
    call = Call(dialect, body, Envelope("m"), "m", stream, "live", {})
    dependencies = FailoverDependencies(
        board=BreakerBoard(loop.time),
        retry_budget=RetryBudget(),
        try_route=Attempts(world, loop.time).run,
        clock=loop.time,
        sleep=asyncio.sleep,
    )
    config = GatewayConfig.model_validate({"agent": "a", "providers": [{"name": "main", "type": "mock"}]})

    def prepare(plan: RoutePlan, taught: Options) -> WireRequest:
        assert not taught
        return WireRequest(URL(f"http://{plan.route.provider}/"), body, {}, dialect)

    routed = loop.run_until_complete(Failover(dependencies, config, call, plans, prepare, lambda *_: None).run())
    assert [name for name, _ in world.asked] == ["main", "backup"]
    assert routed.plan.route.provider == "backup"
    return world.asked[1][1]
