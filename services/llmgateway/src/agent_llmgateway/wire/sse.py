"""Server-sent events in raw chunks.

Chunks are not events: one chunk may hold forty, or a tenth of one. The scanner keeps what is unfinished and
gives out aligned bytes, so that nothing is ever sent on that a later error event would have to interrupt.
No line-wise reading: lines have no limit, and one of 128 KiB is a legal event.
"""

import re
from typing import Final, NamedTuple

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.lenient import BOM

MOST_PIECES: Final = 65_536
"""Pieces of one event that are kept apart: each costs more memory than a byte."""
EVENT_LIMIT_BYTES: Final = 16 << 20
"""Largest event; a longer one can only be an upstream gone wrong."""

_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n")


class Batch(NamedTuple):
    """Whole events. `raw` is all of them as they came, `blocks` each with its blank line."""

    raw: bytes
    blocks: list[bytes]


_NOTHING: Final = Batch(b"", [])


class EventScanner:
    """Cuts a stream of chunks at event boundaries."""

    def __init__(self) -> None:
        self._rest = b""
        self._pieces: list[bytes] = []
        self._size = 0
        self._tail = b""
        """The last bytes that are kept: the end of an event can be cut in two."""

    @property
    def is_aligned(self) -> bool:
        """Whether nothing is left over: the next chunk begins with an event."""
        return not self._rest and not self._pieces

    def feed(self, chunk: bytes) -> Batch:
        """The events that are whole with `chunk`. Raises MalformedEventError for one over the limit.

        A chunk with which no event ends is only kept, so that an event that comes byte by byte costs no more than its
        length, whatever is in it.
        """
        if self._rest and not _BLANK_LINE.search(self._tail + chunk):
            self._tail = (self._tail + chunk)[-3:]
            self._pieces.append(chunk)
            self._size += len(chunk)
            if len(self._rest) + self._size > EVENT_LIMIT_BYTES:
                raise MalformedEventError(f"an event of more than {EVENT_LIMIT_BYTES} bytes")
            if len(self._pieces) >= MOST_PIECES:
                self._join()
            return _NOTHING
        self._join()
        data = self._rest + chunk if self._rest else chunk
        if b"\r" in data:
            return self._cut_any(data)
        end = data.rfind(b"\n\n", max(0, len(self._rest) - 1))
        if end < 0:
            return self._keep(data)
        raw, self._rest = data[: end + 2], data[end + 2 :]
        self._tail = self._rest[-3:]
        return Batch(raw, [block + b"\n\n" for block in raw[:-2].split(b"\n\n")])

    def finish(self) -> Batch:
        """What is left at the end of the stream, as an event: the last blank line is often missing."""
        self._join()
        rest, self._rest = self._rest, b""
        return Batch(rest + b"\n\n", [rest.rstrip(b"\r\n") + b"\n\n"]) if rest.strip() else _NOTHING

    def _join(self) -> None:
        if self._pieces:
            self._rest = b"".join((self._rest, *self._pieces))
            self._pieces.clear()
            self._size = 0

    def _cut_any(self, data: bytes) -> Batch:
        blocks = []
        start = 0
        for match in _BLANK_LINE.finditer(data):
            blocks.append(data[start : match.end()])
            start = match.end()
        if not blocks:
            return self._keep(data)
        self._rest = data[start:]
        self._tail = self._rest[-3:]
        return Batch(data[:start], blocks)

    def _keep(self, data: bytes) -> Batch:
        if len(data) > EVENT_LIMIT_BYTES:
            raise MalformedEventError(f"an event of more than {EVENT_LIMIT_BYTES} bytes")
        self._rest = data
        self._tail = data[-3:]
        return _NOTHING


def read_data(block: bytes) -> bytes | None:
    """The data of an event; None for comments and events without data."""
    if block.startswith(b"data: ") and b"\n" not in (line := block[6:].rstrip(b"\r\n")) and b"\r" not in line:
        return line
    block = block.removeprefix(BOM)
    lines = [line[5:].removeprefix(b" ") for line in block.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
