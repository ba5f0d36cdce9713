"""The lines of a child: bounded, in time linear in their length, and no more at a time than there is room for."""

import asyncio
from typing import Final

from agent_toolproxy.messagememory import MessageRoom, Turn

_PIECE_BYTES: Final = 1 << 16


class LineTooLong(ValueError):  # noqa: N818 - says what happened
    """A line of more bytes than are read, or one that stopped in the middle while others waited for its end."""


class LineReader:
    """Reads one line after the other. `turn` is that of the last one, until the next is read."""

    def __init__(self, stream: asyncio.StreamReader, room: MessageRoom, longest_bytes: int) -> None:
        self._stream = stream
        self._longest = longest_bytes
        self._buffer = bytearray()
        self.turn: Turn = room.begin()

    async def next(self) -> bytes:
        """The next line with its end; without it at the end of the stream, and then b"". Raises LineTooLong."""
        self.turn.restart()
        await self.turn.grow(len(self._buffer))
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            piece = await self._read()
            if not piece:
                end = searched - 1
                break
            self._buffer += piece
            if len(self._buffer) > self._longest:
                raise LineTooLong(f"a line of more than {self._longest} bytes")
            await self.turn.grow(len(piece))
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    async def _read(self) -> bytes:
        try:
            async with asyncio.timeout(self.turn.patience_s):
                return await self._stream.read(_PIECE_BYTES)
        except TimeoutError:
            raise LineTooLong("a long line that does not go on") from None

    def close(self) -> None:
        """Let others have their turn."""
        self.turn.end()
