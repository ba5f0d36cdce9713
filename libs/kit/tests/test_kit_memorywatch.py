import asyncio
from collections.abc import Awaitable, Callable

import looptime
import pytest
from prometheus_client import CollectorRegistry

from agent_api.memoryreport import MemoryReport
from agent_kit.memorywatch import PROBE_EVERY_S, MemoryGauge, MemoryWatch

THERE = MemoryReport(reachable=True, keys=3)
AWAY = MemoryReport(reachable=False, error="connection refused")


class Server:
    """A memory that answers what it is told to, after `delay_s`; `asked_at_s` is when it was asked."""

    def __init__(self, answer: MemoryReport = THERE, *, delay_s: float = 0.0) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.asked_at_s: list[float] = []

    async def probe(self) -> MemoryReport:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.delay_s)
        return self.answer


def virtual_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    assert isinstance(loop, asyncio.BaseEventLoop)
    return looptime.patch_event_loop(loop, start=0)


def while_watching(scenario: Callable[[MemoryWatch], Awaitable[None]]) -> None:
    """Runs `scenario` beside a watch, on a clock that jumps from timer to timer."""

    async def run() -> None:
        watch = MemoryWatch()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.run())
            await asyncio.sleep(0.5)
            await scenario(watch)
            running.cancel()

    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(run())


def test_a_memory_is_asked_at_once_and_then_every_few_seconds() -> None:
    server = Server()

    async def scenario(watch: MemoryWatch) -> None:
        watch.use(server.probe)
        assert watch.report is None
        await asyncio.sleep(0.1)
        assert watch.report == THERE
        server.answer = AWAY
        await asyncio.sleep(2 * PROBE_EVERY_S)
        assert watch.report == AWAY

    while_watching(scenario)
    assert server.asked_at_s == pytest.approx([0.5, 0.5 + PROBE_EVERY_S, 0.5 + 2 * PROBE_EVERY_S])


def test_another_memory_does_not_wait_for_its_turn_and_starts_with_nothing_known() -> None:
    old, new = Server(THERE), Server(AWAY)

    async def scenario(watch: MemoryWatch) -> None:
        watch.use(old.probe)
        await asyncio.sleep(1)
        watch.use(new.probe)
        assert watch.report is None
        await asyncio.sleep(0.1)
        assert watch.report == AWAY

    while_watching(scenario)
    assert old.asked_at_s == pytest.approx([0.5])
    assert new.asked_at_s == pytest.approx([1.5])


def test_a_late_answer_of_a_memory_that_was_left_is_not_kept() -> None:
    slow, new = Server(AWAY, delay_s=3), Server(THERE)

    async def scenario(watch: MemoryWatch) -> None:
        watch.use(slow.probe)
        await asyncio.sleep(1)
        watch.use(new.probe)
        await asyncio.sleep(2.01)
        assert watch.report == THERE

    while_watching(scenario)
    assert new.asked_at_s == pytest.approx([3.5])


def test_without_a_memory_nobody_is_asked_and_what_was_told_stays() -> None:
    server = Server()

    async def scenario(watch: MemoryWatch) -> None:
        watch.use(server.probe)
        await asyncio.sleep(0.1)
        watch.use(None, AWAY)
        await asyncio.sleep(3 * PROBE_EVERY_S)
        assert watch.report == AWAY
        watch.use(None)
        assert watch.report is None

    while_watching(scenario)
    assert len(server.asked_at_s) == 1


def test_only_a_change_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()

    async def scenario(watch: MemoryWatch) -> None:
        watch.use(server.probe)
        await asyncio.sleep(2 * PROBE_EVERY_S)
        server.answer = AWAY
        await asyncio.sleep(2 * PROBE_EVERY_S)

    with caplog.at_level("INFO", "agent_kit.memorywatch"):
        while_watching(scenario)
    told = [(each.levelname, each.getMessage(), vars(each)["reason"]) for each in caplog.records]
    assert told == [("INFO", "memory reachable", ""), ("WARNING", "memory unreachable", AWAY.error)]


def test_an_agent_without_a_memory_has_no_series_of_it() -> None:
    registry, watch = CollectorRegistry(), MemoryWatch()
    registry.register(MemoryGauge(watch))

    def shown() -> float | None:
        return registry.get_sample_value("agentberth_memory_reachable")

    assert shown() is None
    watch.use(None, AWAY)
    assert shown() == 0
    watch.use(None, THERE)
    assert shown() == 1
    watch.use(None)
    assert shown() is None
