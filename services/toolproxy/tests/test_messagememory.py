import asyncio
from collections.abc import AsyncIterator

import pytest

from agent_toolproxy import messagememory
from agent_toolproxy.messagememory import (
    BODIES_BYTES,
    FREE_BYTES,
    MEDIUM_BYTES,
    MOST_MEDIUM,
    MessageRoom,
    Turn,
    read_in_turn,
    reading,
)


async def held_back(turn: Turn, size: int) -> bool:
    """Whether the turn has to wait with this size."""
    try:
        async with asyncio.timeout(0.05):
            await turn.grow(size)
    except TimeoutError:
        return True
    return False


async def test_small_messages_wait_for_nobody() -> None:
    room = MessageRoom()
    assert not any([await held_back(room.begin(), FREE_BYTES) for _ in range(1000)])


async def test_medium_ones_take_turns_and_large_ones_one_after_the_other() -> None:
    room = MessageRoom()
    medium = [room.begin() for _ in range(MOST_MEDIUM)]
    for turn in medium:
        assert not await held_back(turn, MEDIUM_BYTES)
    assert await held_back(room.begin(), FREE_BYTES + 1)
    assert not await held_back(medium[0], 1)
    assert await held_back(medium[1], 1)
    medium[0].end()
    assert not await held_back(medium[2], 1)


async def test_a_turn_is_kept_until_the_end_of_the_call_in_whatever_task_it_was_read() -> None:
    room = MessageRoom()

    async def read() -> None:
        with reading(room) as turn:
            await turn.grow(MEDIUM_BYTES + 1)
            turn.keep()

    with room.call() as scope:
        async with asyncio.TaskGroup() as group:
            group.create_task(read())
        assert scope.is_large
        assert await held_back(room.begin(), MEDIUM_BYTES + 1)
    assert not await held_back(room.begin(), MEDIUM_BYTES + 1)


async def test_without_a_call_a_turn_ends_with_the_reading() -> None:
    room = MessageRoom()
    with reading(room) as turn:
        await turn.grow(MEDIUM_BYTES + 1)
        turn.keep()
    with room.call() as scope, reading(room) as turn:
        await turn.grow(MEDIUM_BYTES + 1)
        assert not scope.is_large
    for _ in range(3):
        turn.restart()
        assert not await held_back(turn, MEDIUM_BYTES + 1)


async def test_a_task_that_goes_on_after_its_call_keeps_nothing() -> None:
    room, over = MessageRoom(), asyncio.Event()

    async def read() -> None:
        await over.wait()
        with reading(room) as turn:
            await turn.grow(MEDIUM_BYTES + 1)
            turn.keep()

    with room.call():
        late = asyncio.create_task(read())
        await asyncio.sleep(0)
    over.set()
    await late
    assert not await held_back(room.begin(), MEDIUM_BYTES + 1)


async def test_a_cancelled_wait_takes_nothing() -> None:
    room = MessageRoom()
    first = room.begin()
    await first.grow(MEDIUM_BYTES + 1)
    assert await held_back(room.begin(), FREE_BYTES * 2) is False
    waiting = room.begin()
    assert await held_back(waiting, MEDIUM_BYTES + 1)
    waiting.end()
    first.end()
    assert not await held_back(room.begin(), MEDIUM_BYTES + 1)


async def test_who_begins_a_large_message_and_stops_loses_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messagememory, "PATIENCE_S", 0.05)
    room = MessageRoom()

    async def dribble() -> AsyncIterator[bytes]:
        yield b"x" * (MEDIUM_BYTES + 1)
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError), reading(room) as turn:
        async for _ in read_in_turn(turn, dribble()):
            pass

    assert not await held_back(room.begin(), MEDIUM_BYTES + 1)


def test_bodies_of_callers_are_refused_when_they_are_too_much_together() -> None:
    room, size = MessageRoom(), BODIES_BYTES // 2
    with room.body(size) as first, room.body(size) as second:
        assert first
        assert second
        with room.body(FREE_BYTES) as small, room.body(FREE_BYTES + 1) as more:
            assert small
            assert not more
    with room.body(BODIES_BYTES) as again:
        assert again
