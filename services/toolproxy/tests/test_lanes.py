import asyncio
from contextlib import AsyncExitStack

from agent_toolproxy.tools.lanes import KeyedLocks, Lanes


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_optional_tools_take_no_place_from_required_ones() -> None:
    lanes = Lanes(2, 1, head_start_s=0)
    entered: list[str] = []
    done = asyncio.Event()

    async def prepare(name: str, *, required: bool) -> None:
        async with lanes.enter(required=required):
            entered.append(name)
            await done.wait()

    async with asyncio.TaskGroup() as group:
        for name in ("o1", "o2"):
            group.create_task(prepare(name, required=False))
        await settle()
        for name in ("r1", "r2", "r3"):
            group.create_task(prepare(name, required=True))
        await settle()
        assert entered == ["o1", "r1", "r2"]
        done.set()
    assert set(entered) == {"o1", "o2", "r1", "r2", "r3"}


async def test_required_tools_have_a_head_start_that_ends() -> None:
    lanes = Lanes(1, 1, head_start_s=0.05)
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(lanes.enter(required=True))
        waiting = asyncio.create_task(stack.enter_async_context(lanes.enter(required=False)))
        await settle()
        assert not waiting.done()
        async with asyncio.timeout(10):
            await waiting  # a required tool that is never done does not keep it for ever
        place.release()
        place.release()
        async with asyncio.timeout(10), lanes.enter(required=True):
            pass


async def test_an_optional_tool_goes_when_no_required_one_is_left() -> None:
    lanes = Lanes(1, 1, head_start_s=3600)
    async with lanes.enter(required=True):
        waiting = asyncio.create_task(lanes.enter(required=False).__aenter__())
        await settle()
        assert not waiting.done()
    async with asyncio.timeout(10):
        (await waiting).release()


async def test_one_that_gives_up_waiting_leaves_no_trace() -> None:
    lanes = Lanes(1, 1, head_start_s=3600)
    async with lanes.enter(required=True):
        waiting = asyncio.create_task(lanes.enter(required=True).__aenter__())
        await settle()
        waiting.cancel()
        await settle()
    async with asyncio.timeout(10), lanes.enter(required=False), lanes.enter(required=True):
        pass


async def test_one_key_is_held_by_one() -> None:
    locks, order = KeyedLocks(), list[str]()

    async def work(key: str, name: str) -> None:
        async with locks.hold(key):
            order.append(f"{name} begins")
            await settle()
            order.append(f"{name} ends")

    await asyncio.gather(work("a", "first"), work("a", "second"), work("b", "other"))
    assert [each for each in order if "other" not in each] == [
        "first begins",
        "first ends",
        "second begins",
        "second ends",
    ]
    assert order.index("other begins") < order.index("first ends")
