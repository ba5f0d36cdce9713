"""A loop whose clock jumps to the next timer: minutes of back-off in milliseconds."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import looptime

Scenario = Callable[[], Coroutine[Any, Any, None]]


def virtual_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    assert isinstance(loop, asyncio.BaseEventLoop)
    return looptime.patch_event_loop(loop)


def in_virtual_time(scenario: Scenario) -> None:
    with asyncio.Runner(loop_factory=virtual_loop) as runner:
        runner.run(scenario())
