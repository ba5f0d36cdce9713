"""Bounds what requests and answers hold in memory, all of them together, below the container's limit.

What does not fit waits for a while, and is refused before it is read. What a body becomes when it is decoded is bounded
in `wire.lenient`, and not added up: one is decoded at a time.
"""

import asyncio
from collections import deque
from typing import Final

from agent_llmgateway.errors import BusyError, TooLargeError

MOST_BYTES: Final = 80 << 20
"""Held by all requests. The container has 256 MiB, the process without any 75, and decoding takes `MOST_DECODED`."""
LEAST_BYTES: Final = 96 << 10
"""That a request holds besides its body: buffers of two connections."""
STREAM_BYTES: Final = 384 << 10
"""The same of a stream whose client does not read: what was read of it at once, and what came meanwhile."""
COPIES: Final = 3
"""Of a body: as it came in pieces, in one piece, and as it goes out."""
SPARE_BYTES: Final = 4 << 20
"""Of all, for requests that hold their body already: they end and give back what others wait for."""
WAIT_S: Final = 10.0
_Queue = deque[tuple[int, asyncio.Future[None]]]


class HeldMemory:
    """All that is held. Those that wait are served in their order, so that a large one is not passed by for ever.

    Those that hold some already are served before the others, who cannot take the last `spare_bytes`.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, wait_s: float = WAIT_S, *, spare_bytes: int = SPARE_BYTES) -> None:
        self._most = most_bytes
        self._most_new = most_bytes - spare_bytes
        self._wait_s = wait_s
        self.held_bytes = 0
        self._holding: _Queue = deque()
        self._waiting: _Queue = deque()

    def try_take(self, size: int) -> bool:
        """Take `size` bytes at once, if they are there."""
        if self.held_bytes + size > self._most:
            return False
        self.held_bytes += size
        return True

    def take_in_turn(self, size: int) -> bool:
        """Take `size` bytes at once, if they are there and nobody waits for some."""
        if self._holding or self._waiting or self.held_bytes + size > self._most_new:
            return False
        self.held_bytes += size
        return True

    async def take(self, size: int) -> None:
        """Take `size` bytes. Raises TooLargeError for more than there ever are, BusyError after a wait in vain."""
        if size > self._most_new:
            raise TooLargeError(self._most_new // COPIES)
        if not self.take_in_turn(size):
            await self._wait(self._waiting, size)

    async def take_more(self, size: int) -> None:
        """As `take`, for a request that holds some already."""
        if size > self._most:
            raise TooLargeError(self._most // COPIES)
        if self._holding or not self.try_take(size):
            await self._wait(self._holding, size)

    async def _wait(self, queue: _Queue, size: int) -> None:
        turn = asyncio.get_running_loop().create_future()
        queue.append((size, turn))
        try:
            async with asyncio.timeout(self._wait_s):
                await turn
        except TimeoutError:
            raise BusyError(self._wait_s) from None
        except BaseException:
            if turn.done() and not turn.cancelled():  # its turn came as it was given up
                self.give(size)
            raise
        finally:
            self._serve()

    def give(self, size: int) -> None:
        """Give `size` bytes back."""
        self.held_bytes -= size
        if self._holding or self._waiting:
            self._serve()

    def _serve(self) -> None:
        if self._serve_queue(self._holding, self._most):
            self._serve_queue(self._waiting, self._most_new)

    def _serve_queue(self, queue: _Queue, most: int) -> bool:
        """Whether nobody is left in it."""
        while queue:
            size, turn = queue[0]
            if not turn.done():
                if self.held_bytes + size > most:
                    return False
                self.held_bytes += size
                turn.set_result(None)
            queue.popleft()
        return True


class Lease:
    """What one request holds."""

    __slots__ = ("_memory", "size")

    def __init__(self, memory: HeldMemory) -> None:
        self._memory = memory
        self.size = 0

    async def reserve(self, size: int) -> None:
        """Hold `size` bytes in all. Raises TooLargeError and BusyError."""
        if size > self.size and not self.reserve_now(size):
            await self._memory.take(size - self.size)
            self.size = size

    async def extend(self, size: int) -> None:
        """Hold `size` bytes more, before those that hold none yet. Raises TooLargeError and BusyError."""
        await self._memory.take_more(size)
        self.size += size

    def reserve_now(self, size: int) -> bool:
        """As `reserve`, if nothing has to be waited for."""
        if not self._memory.take_in_turn(size - self.size):
            return False
        self.size = size
        return True

    def grow(self, size: int) -> bool:
        """Hold `size` bytes more, if they are there now: whoever holds some must not wait for those who do too."""
        if not self._memory.try_take(size):
            return False
        self.size += size
        return True

    def close(self) -> None:
        """Hold nothing any more."""
        size, self.size = self.size, 0
        if size:
            self._memory.give(size)
