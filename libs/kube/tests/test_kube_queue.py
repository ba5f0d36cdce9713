import asyncio
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from libs.kube.tests.virtual_time import virtual_loop

from agent_kube.control.queue import Priority, WorkQueue
from agent_kube.errors import QueueClosed

KEYS = st.sampled_from("abcdef")


@pytest.fixture
def virtual() -> Iterator[asyncio.Runner]:
    """A loop whose clock jumps to the next timer."""
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        yield runner


class Ledger:
    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def added(self) -> None:
        self.told.append(("added", 0))

    def started(self, queued_s: float) -> None:
        self.told.append(("started", queued_s))

    def finished(self, worked_s: float) -> None:
        self.told.append(("finished", worked_s))

    def retried(self) -> None:
        self.told.append(("retried", 0))


async def drain(queue: WorkQueue[str]) -> list[str]:
    taken = []
    while len(queue):
        taken.append(await queue.get())
    return taken


async def test_key_is_delivered_once_however_often_it_was_added() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for _ in range(5):
        queue.add("a")
    assert await drain(queue) == ["a"]


async def test_key_added_while_worked_on_comes_up_again_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done(key)
    assert await drain(queue) == ["a"]


async def test_live_overtakes_bulk_and_a_bulk_key_can_be_moved_up() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in "abc":
        queue.add(key, Priority.BULK)
    queue.add("live")
    queue.add("c")
    assert await drain(queue) == ["live", "c", "a", "b"]


async def test_tenants_take_turns_however_many_keys_one_of_them_has() -> None:
    queue = WorkQueue[str](tenant=lambda key: key[0])
    for number in range(1000):
        queue.add(f"a{number}")
    queue.add("b0")
    queue.add("c0")
    queue.add("b1")

    taken = [await queue.get() for _ in range(6)]

    assert taken == ["a0", "b0", "c0", "a1", "b1", "a2"]
    assert len(queue) == 1003 - 6


def test_delays_come_in_order_and_the_earliest_of_one_key_counts(virtual: asyncio.Runner) -> None:
    async def scenario() -> list[tuple[str, float]]:
        queue: WorkQueue[str] = WorkQueue()
        loop = asyncio.get_running_loop()
        queue.add_after("late", 30)
        queue.add_after("twice", 20)
        queue.add_after("twice", 5)
        queue.add_after("twice", 50)
        queue.add_after("now", 0)
        came: list[tuple[str, float]] = []
        for _ in range(3):
            key = await queue.get()
            came.append((key, round(loop.time() - start)))
            queue.done(key)
        await asyncio.sleep(100)
        assert len(queue) == 0
        return came

    start = virtual.get_loop().time()
    assert virtual.run(scenario()) == [("now", 0), ("twice", 5), ("late", 30)]


def test_retries_of_a_key_grow_to_the_maximum_and_start_over_when_forgotten(virtual: asyncio.Runner) -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(initial_s=1, maximum_s=10, chance=lambda: 0.5)
        assert [queue.retry("a") for _ in range(6)] == [1, 2, 4, 8, 10, 10]
        assert queue.retry("b") == 1
        assert queue.retry("b", at_least_s=60) == 60
        assert [queue.retry("c", at_most_s=3) for _ in range(4)] == [1, 2, 3, 3]
        assert queue.retry("c", at_least_s=5, at_most_s=3) == 5
        queue.forget("a")
        assert queue.retry("a") == 1
        queue.close()

    virtual.run(scenario())


def test_retries_are_spread_by_chance(virtual: asyncio.Runner) -> None:
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue(initial_s=1, maximum_s=100)
        pauses = {round(queue.retry(str(number)), 6) for number in range(50)}
        assert len(pauses) > 40
        assert all(0.5 <= pause <= 1.5 for pause in pauses)
        queue.close()

    virtual.run(scenario())


async def test_close_sends_waiting_workers_home_and_takes_no_more() -> None:
    queue: WorkQueue[str] = WorkQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert [type(result) for result in results] == [QueueClosed] * 3
    queue.add("a")
    queue.add_after("a", 0.01)
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_cancelled_waiter_loses_no_key() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first, which is cancelled before it runs
    first.cancel()
    async with asyncio.timeout(2):
        assert await second == "a"


def test_observer_is_told_times(virtual: asyncio.Runner) -> None:
    async def scenario() -> list[tuple[str, float]]:
        ledger = Ledger()
        queue: WorkQueue[str] = WorkQueue(observer=ledger)
        queue.add("a")
        await asyncio.sleep(3)
        key = await queue.get()
        await asyncio.sleep(2)
        assert queue.ages_s() == [pytest.approx(2)]
        queue.done(key)
        return ledger.told

    told = virtual.run(scenario())
    assert [name for name, _ in told] == ["added", "started", "finished"]
    assert [value for _, value in told] == [0, pytest.approx(3), pytest.approx(2)]


class QueueMachine(RuleBasedStateMachine):
    """Any interleaving of adds, delays, retries, gets and dones, against a model of three sets."""

    taken = Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=virtual_loop)
        self.queue: WorkQueue[str] = self.call(self._open())
        self.dirty: dict[str, Priority] = {}
        self.delayed: dict[str, float] = {}
        self.working: set[str] = set()
        self.now = 0.0

    def call(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    async def _open(self) -> WorkQueue[str]:
        return WorkQueue(clock=lambda: self.now, chance=lambda: 0.5)

    @rule(key=KEYS, priority=st.sampled_from(Priority))
    def add(self, key: str, priority: Priority) -> None:
        async def act() -> None:
            self.queue.add(key, priority)

        self.call(act())
        self.dirty[key] = min(priority, self.dirty.get(key, priority))

    @rule(key=KEYS, delay_s=st.integers(1, 20))
    def add_after(self, key: str, delay_s: int) -> None:
        async def act() -> None:
            self.queue.add_after(key, delay_s)

        self.call(act())
        self.delayed[key] = min(self.delayed.get(key, 1e9), self.now + delay_s)

    @rule(seconds=st.integers(1, 15))
    def time_passes(self, seconds: int) -> None:
        async def act() -> None:
            self.now += seconds
            await asyncio.sleep(seconds)

        self.call(act())
        for key, due in sorted(self.delayed.items(), key=lambda item: item[1]):
            if due <= self.now:
                del self.delayed[key]
                self.dirty[key] = Priority.LIVE

    @rule(target=taken)
    def take(self) -> str:
        ready = {key: priority for key, priority in self.dirty.items() if key not in self.working}
        if not ready:
            return ""
        key: str = self.call(self.queue.get())
        assert key in ready
        assert key not in self.working
        assert ready[key] == min(ready.values())
        del self.dirty[key]
        self.working.add(key)
        return key

    @rule(key=consumes(taken))
    def done(self, key: str) -> None:
        async def act() -> None:
            self.queue.done(key)

        if key:
            self.call(act())
            self.working.discard(key)

    @invariant()
    def as_many_in_line_as_the_model_says(self) -> None:
        assert len(self.queue) == len(self.dirty.keys() - self.working)
        assert len(self.queue.ages_s()) == len(self.working)

    def teardown(self) -> None:
        self.queue.close()
        self.runner.close()


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
