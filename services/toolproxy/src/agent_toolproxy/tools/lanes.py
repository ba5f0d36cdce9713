"""Lets tools be prepared side by side, required ones in a lane of their own.

An optional tool that is slow, or never done, takes no place from a required one. It also gives required ones a head
start, because they share the processor.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from agent_toolproxy.tools.concurrency import Gate

REQUIRED: Final = 8
OPTIONAL: Final = 4
HEAD_START_S: Final = 15.0
"""Most that an optional tool waits for required ones; one of those may never be done."""


class Place:
    """A place in a lane. `release` gives it back, once."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        if (give_back := self._give_back) is not None:
            self._give_back = None
            give_back()


class Lanes:
    """Two queues, each first come first served."""

    def __init__(
        self, required: int = REQUIRED, optional: int = OPTIONAL, *, head_start_s: float = HEAD_START_S
    ) -> None:
        self._gates = {True: Gate(required), False: Gate(optional)}
        self._head_start_s = head_start_s
        self._required = 0
        self._no_required = asyncio.Event()
        self._no_required.set()

    @asynccontextmanager
    async def enter(self, *, required: bool) -> AsyncIterator[Place]:
        """Wait for a place, which is given back on leaving at the latest."""
        place = Place(self._announce() if required else _nothing)
        try:
            if not required:
                await self._give_way()
            await self._gates[required].take(None)
            place = Place(partial(_both, self._gates[required].give_back, place.release))
            yield place
        finally:
            place.release()

    def _announce(self) -> Callable[[], None]:
        self._required += 1
        self._no_required.clear()
        return self._retract

    def _retract(self) -> None:
        self._required -= 1
        if not self._required:
            self._no_required.set()

    async def _give_way(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._head_start_s):
                await self._no_required.wait()


def _nothing() -> None:
    """Optional tools are waited for by nobody."""


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()


class KeyedLocks:
    """One lock for each key that is in use."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait until nobody else holds `key`."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield
