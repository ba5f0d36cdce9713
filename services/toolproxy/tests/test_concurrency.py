import asyncio

import pytest

from agent_toolproxy.errors import (
    ToolBusy,
)
from agent_toolproxy.tools.concurrency import Gate


async def test_the_gate_lets_in_as_many_as_it_may() -> None:
    gate = Gate(1)
    inside: list[int] = []

    async def pass_through(number: int) -> None:
        async with gate.enter(5):
            inside.append(number)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group, gate.enter(1):
        with pytest.raises(ToolBusy):
            async with gate.enter(0.01):
                pass
        waiting = [group.create_task(pass_through(number)) for number in range(4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        await asyncio.sleep(0)
        assert inside == []
        gate.resize(3)
        await asyncio.sleep(0)
        assert inside == [0, 2]
    assert inside == [0, 2, 3]
