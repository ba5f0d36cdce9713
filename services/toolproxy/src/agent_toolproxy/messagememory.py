"""Room for what is large: how much of messages the proxy holds at a time, whoever sends them.

One message is bounded, and so is the number of calls; the largest messages of all calls together would still be many
times the container's memory. So small ones pass, larger ones take turns, and those that wait are not read meanwhile:
their sender's connection or pipe is full. A turn lasts until the answer that it became part of has been sent.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

FREE_BYTES: Final = 64 << 10
"""Of one message, whatever else there is."""
MEDIUM_BYTES: Final = 1 << 20
MOST_MEDIUM: Final = 8
"""Messages of up to `MEDIUM_BYTES` at a time; of larger ones there is one."""
BODIES_BYTES: Final = 48 << 20
"""Of all callers' requests together; what is more is refused, since each of them lasts as long as its call."""
PATIENCE_S: Final = 15.0
"""For the rest of a message that has its turn: who begins one and stops must not keep it from others."""


class Scope:
    """What one call holds, until the answer to it has been sent."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._is_over = False

    @property
    def is_large(self) -> bool:
        """Whether others may wait for its answer to be sent."""
        return bool(self._turns)

    def add(self, turn: "Turn") -> None:
        """End the turn with the call; at once, where a task goes on after its call."""
        if self._is_over:
            turn.end()
        else:
            self._turns.append(turn)

    def end(self) -> None:
        """The answer is sent."""
        self._is_over = True
        while self._turns:
            self._turns.pop().end()


_scope: ContextVar[Scope | None] = ContextVar("call", default=None)


class MessageRoom:
    """One for the proxy."""

    def __init__(self) -> None:
        self._medium = asyncio.Semaphore(MOST_MEDIUM)
        self._large = asyncio.Semaphore(1)
        self._bodies_bytes = 0

    @contextmanager
    def body(self, size_bytes: int) -> Iterator[bool]:
        """Whether the body of a request of this size may be read, and kept until the end."""
        counted = size_bytes if size_bytes > FREE_BYTES else 0
        fits = self._bodies_bytes + counted <= BODIES_BYTES
        self._bodies_bytes += counted if fits else 0
        try:
            yield fits
        finally:
            self._bodies_bytes -= counted if fits else 0

    def begin(self) -> "Turn":
        """For one message, before anything of it is read."""
        return Turn(self._medium, self._large)

    @contextmanager
    def call(self) -> Iterator[Scope]:
        """Keep the turns of what is read within, in this task and in those that it starts, until the end."""
        scope = Scope()
        token = _scope.set(scope)
        try:
            yield scope
        finally:
            _scope.reset(token)
            scope.end()


class Turn:
    """How much of one message is there. Small ones hold nothing."""

    def __init__(self, medium: asyncio.Semaphore, large: asyncio.Semaphore) -> None:
        self._medium, self._large = medium, large
        self._held: list[asyncio.Semaphore] = []
        self._size = 0

    @property
    def patience_s(self) -> float | None:
        """How long its next part may take; None while it keeps nobody waiting."""
        return PATIENCE_S if self._held else None

    async def grow(self, size_bytes: int) -> None:
        """Account for what was read. Waits for a turn where the message has become larger than others are let."""
        self._size += size_bytes
        if self._size > FREE_BYTES and not self._held:
            await self._take(self._medium)
        if self._size > MEDIUM_BYTES and self._large not in self._held:
            await self._take(self._large)

    async def _take(self, semaphore: asyncio.Semaphore) -> None:
        await semaphore.acquire()
        self._held.append(semaphore)

    def restart(self) -> None:
        """The message is done with, and the next one of the same stream begins."""
        self.end()
        self._size = 0

    def end(self) -> None:
        """Let others have their turn."""
        while self._held:
            self._held.pop().release()

    def hand_over(self) -> "Turn":
        """What is held, for somebody else to keep or end; this one holds nothing any more."""
        other = Turn(self._medium, self._large)
        other._held, self._held = self._held, []
        return other

    def keep(self) -> None:
        """Hand the turn over to the call that the message belongs to; without one, end it."""
        scope = _scope.get()
        if scope is None:
            self.end()
        elif self._held:
            scope.add(self.hand_over())


async def read_in_turn(turn: Turn, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`pieces` as they come, each accounted for. Raises TimeoutError when one does not come that others wait for."""
    while True:
        async with asyncio.timeout(turn.patience_s):
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        await turn.grow(len(piece))
        yield piece


@contextmanager
def reading(room: MessageRoom) -> Iterator[Turn]:
    """The turn of what is read within. It ends with the reading, unless it was handed over with `keep`."""
    turn = room.begin()
    try:
        yield turn
    finally:
        turn.end()
