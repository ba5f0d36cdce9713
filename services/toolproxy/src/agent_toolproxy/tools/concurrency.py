"""Bounded concurrency whose bound can change while calls are waiting."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent_toolproxy.errors import ToolBusy


class Gate:
    """Lets `limit` calls in at a time, first come first served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def resize(self, limit: int) -> None:
        """Change the bound; calls inside stay."""
        self._limit = limit
        self._let_in()

    @asynccontextmanager
    async def enter(self, timeout_s: float) -> AsyncIterator[None]:
        """Wait for a place, at most `timeout_s`. Raises ToolBusy."""
        await self.take(timeout_s)
        try:
            yield
        finally:
            self.give_back()

    def give_back(self) -> None:
        """Leave the place that `take` gave."""
        self._inside -= 1
        self._let_in()

    async def take(self, timeout_s: float | None) -> None:
        """As `enter`, for a place that is given back elsewhere; None waits for as long as it takes."""
        if self._inside < self._limit and not self._waiting:
            self._inside += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(timeout_s):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self._inside -= 1
                self._let_in()
            elif place in self._waiting:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                raise ToolBusy(f"{self._limit} calls are running and none ended within {timeout_s or 0:g} s") from error
            raise

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._limit:
            place = self._waiting.popleft()
            if not place.done():
                self._inside += 1
                place.set_result(None)
