"""What requests hold in memory: never more than there is, in order, and nothing is left behind."""

import asyncio

import pytest

from agent_llmgateway.errors import BusyError, MalformedEventError, TooLargeError
from agent_llmgateway.upstream.heldmemory import (
    COPIES,
    LEAST_BYTES,
    STREAM_BYTES,
    HeldMemory,
    Lease,
)
from agent_llmgateway.wire.lenient import MOST_DECODED, check_weight, decoded_bytes


async def test_what_does_not_fit_waits_for_its_turn() -> None:
    memory = HeldMemory(100, wait_s=30, spare_bytes=0)
    first, large, small = Lease(memory), Lease(memory), Lease(memory)
    await first.reserve(60)
    waiting = [asyncio.create_task(large.reserve(90)), asyncio.create_task(small.reserve(10))]
    await asyncio.sleep(0)
    assert memory.held_bytes == 60, "the small one does not pass the large one by"
    first.close()
    await waiting[0]
    await waiting[1]
    assert memory.held_bytes == 100
    large.close()
    small.close()
    small.close()
    assert memory.held_bytes == 0


async def test_a_wait_ends_and_leaves_nothing_behind() -> None:
    memory = HeldMemory(100, wait_s=0.01, spare_bytes=0)
    first, second, third = Lease(memory), Lease(memory), Lease(memory)
    await first.reserve(60)
    with pytest.raises(BusyError):
        await second.reserve(50)
    await third.reserve(40)
    for lease in (first, second, third):
        lease.close()
    assert memory.held_bytes == 0


async def test_one_that_is_given_up_does_not_keep_the_others_waiting() -> None:
    memory = HeldMemory(100, wait_s=30, spare_bytes=0)
    first, second, third = Lease(memory), Lease(memory), Lease(memory)
    await first.reserve(60)
    gone = asyncio.create_task(second.reserve(90))
    next_one = asyncio.create_task(third.reserve(30))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await next_one
    first.close()
    third.close()
    assert memory.held_bytes == 0


async def test_one_whose_turn_comes_as_it_is_given_up_gives_it_back() -> None:
    memory = HeldMemory(100, wait_s=30, spare_bytes=0)
    first, second = Lease(memory), Lease(memory)
    await first.reserve(60)
    gone = asyncio.create_task(second.reserve(90))
    await asyncio.sleep(0)
    first.close()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert memory.held_bytes == 0


async def test_more_than_there_is_at_all_is_refused_at_once() -> None:
    memory = HeldMemory(100, spare_bytes=0)
    lease = Lease(memory)
    with pytest.raises(TooLargeError):
        await lease.reserve(101)
    assert lease.grow(100)
    assert not lease.grow(1)
    lease.close()
    assert memory.held_bytes == 0


async def test_streams_that_hold_their_bodies_do_not_wait_for_each_other_with_nobody_at_work() -> None:
    memory = HeldMemory(wait_s=5)

    async def work() -> None:
        lease = Lease(memory)
        try:
            await lease.reserve(LEAST_BYTES + (1 << 20) * COPIES)
            await asyncio.sleep(0)
            await lease.extend(STREAM_BYTES - LEAST_BYTES)
            await asyncio.sleep(0)
        finally:
            lease.close()

    await asyncio.gather(*(work() for _ in range(100)))
    assert memory.held_bytes == 0


async def test_who_holds_some_goes_first_and_has_a_spare() -> None:
    memory = HeldMemory(100, wait_s=30, spare_bytes=10)
    first, new = Lease(memory), Lease(memory)
    await first.reserve(60)
    waiting = asyncio.create_task(new.reserve(31))
    await asyncio.sleep(0)
    await first.extend(40)
    assert memory.held_bytes == 100
    first.close()
    await waiting
    with pytest.raises(TooLargeError):
        await Lease(memory).reserve(91)
    new.close()
    assert memory.held_bytes == 0


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'"a",', b"[[", b'{"a":{"a":'])
def test_json_of_many_values_weighs_more_than_its_bytes(unit: bytes) -> None:
    data = unit * (4 << 20)
    assert decoded_bytes(data) > MOST_DECODED
    with pytest.raises(MalformedEventError, match="MiB"):
        check_weight(data)
    check_weight(unit * 1000)


def test_a_text_with_one_wide_character_weighs_four_times_its_bytes() -> None:
    plain = b'"' + b"a" * (30 << 20) + b'"'
    check_weight(plain)
    for wide in ("\U0001f600".encode(), b"\\ud83d\\ude00"):
        with pytest.raises(MalformedEventError):
            check_weight(plain[:-1] + wide + b'"')
