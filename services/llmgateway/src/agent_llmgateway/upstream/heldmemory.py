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
WAIT_S: Final = 10.0


class HeldMemory:
    """All that is held. Those that wait are served in their order, so that a large one is not passed by for ever."""

    def __init__(self, most_bytes: int = MOST_BYTES, wait_s: float = WAIT_S) -> None:
        self._most = most_bytes
        self._wait_s = wait_s
        self.held_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def try_take(self, size: int) -> bool:
        """Take `size` bytes at once, if they are there."""
        if self.held_bytes + size > self._most:
            return False
        self.held_bytes += size
        return True

    def take_in_turn(self, size: int) -> bool:
        """Take `size` bytes at once, if they are there and nobody waits for some."""
        if self._waiting or self.held_bytes + size > self._most:
            return False
        self.held_bytes += size
        return True

    async def take(self, size: int) -> None:
        """Take `size` bytes. Raises TooLargeError for more than there ever are, BusyError after a wait in vain."""
        if size > self._most:
            raise TooLargeError(self._most // COPIES)
        if self.take_in_turn(size):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
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
        if self._waiting:
            self._serve()

    def _serve(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                if self.held_bytes + size > self._most:
                    return
                self.held_bytes += size
                turn.set_result(None)
            self._waiting.popleft()


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
