import asyncio

import pytest

from agent_llmgateway.upstream.deadline import Deadline, Watch


async def test_it_ends_what_takes_too_long() -> None:
    with pytest.raises(TimeoutError), Deadline(0.01):
        await asyncio.sleep(5)
    await asyncio.sleep(0)  # the cancellation has been taken back


async def test_it_leaves_alone_what_is_in_time() -> None:
    with Deadline(1):
        await asyncio.sleep(0)
    await asyncio.sleep(1.1)


async def test_a_cancellation_from_outside_stays_one() -> None:
    async def work() -> None:
        with Deadline(5):
            await asyncio.sleep(5)

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_inside_is_raised_as_it_is() -> None:
    with pytest.raises(KeyError), Deadline(1):
        raise KeyError


async def test_deadlines_inside_of_each_other() -> None:
    with pytest.raises(TimeoutError), Deadline(0.02), Deadline(5):
        await asyncio.sleep(5)
    with Deadline(5):
        with pytest.raises(TimeoutError), Deadline(0.02):
            await asyncio.sleep(5)
        await asyncio.sleep(0)


async def test_a_watch_is_moved_from_wait_to_wait() -> None:
    watch = Watch()
    for _ in range(10):  # longer than one wait in all, and each far shorter
        watch.arm(2)
        await asyncio.sleep(0.25)
        watch.disarm()
    assert not watch.expired
    watch.arm(0.02)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    assert watch.expired
    task = asyncio.current_task()
    assert task is not None
    assert task.uncancel() == 0


async def test_a_shorter_wait_behind_a_longer_one_is_kept_to() -> None:
    watch = Watch()
    watch.arm(30)
    watch.disarm()
    watch.arm(0.02)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    watch.close()
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()


async def test_a_disarmed_watch_does_nothing() -> None:
    watch = Watch()
    watch.arm(0.01)
    watch.disarm()
    await asyncio.sleep(0.05)
    assert not watch.expired
