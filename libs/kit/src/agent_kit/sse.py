"""Reads server-sent events from the chunks of a body, in time linear in its bytes and within a limit.

Chunks are not events: one chunk may hold forty, or a tenth of one. The scanner keeps what is unfinished and
gives out aligned bytes, so that nothing is ever sent on that a later error event would have to interrupt.
No line-wise reading: lines have no limit, and one of 128 KiB is a legal event.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from agent_kit.errors import EventTooLargeError

MOST_PIECES: Final = 65_536
"""Pieces of one event that are kept apart: each costs more memory than a byte."""
_LONGEST_ID_CHARS: Final = 1024
_BOM: Final = b"\xef\xbb\xbf"
_BLANK_LINE: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\n\r(?=[^\n])")
_LINE: Final = re.compile(rb"([^\r\n]+)(?:\r\n|\r|\n|$)")


class Batch(NamedTuple):
    """Whole events. `raw` is all of them as they came, `blocks` each with its blank line."""

    raw: bytes
    blocks: list[bytes]


_NOTHING: Final = Batch(b"", [])


class EventScanner:
    """Cuts a stream of chunks at event boundaries; no event may be larger than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
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
        """The events that are whole with `chunk`. Raises EventTooLargeError.

        A chunk with which no event ends is only kept, so that an event that comes byte by byte costs no more than its
        length, whatever is in it.
        """
        if self._rest and not _BLANK_LINE.search(self._tail + chunk):
            self._tail = (self._tail + chunk)[-3:]
            self._pieces.append(chunk)
            self._size += len(chunk)
            self._check(len(self._rest) + self._size)
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
        self._check(len(data))
        self._rest = data
        self._tail = data[-3:]
        return _NOTHING

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._limit_bytes:
            raise EventTooLargeError(f"an event of more than {self._limit_bytes} bytes")


def read_data(block: bytes) -> bytes | None:
    """The data of an event; None for comments and events without data."""
    if block.startswith(b"data: ") and b"\n" not in (line := block[6:].rstrip(b"\r\n")) and b"\r" not in line:
        return line
    lines = [value for name, value in _read_fields(block) if name == b"data"]
    return b"\n".join(lines) if lines else None


def _read_fields(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and value of each line, one at a time; the name of a comment is empty."""
    for match in _LINE.finditer(block.removeprefix(_BOM)):
        name, _, value = match[1].partition(b":")
        yield name, value.removeprefix(b" ")


@dataclass(frozen=True)
class Event:
    """One event with data. `event_id` is the last one that its stream has given."""

    data: str
    name: str = "message"
    event_id: str | None = None


class EventReader:
    """Reads whole events from chunks, and what a stream says of itself: `last_id`, and `retry_ms` before it is resumed.

    What is not UTF-8 is replaced.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._scanner = EventScanner(limit_bytes)
        self.retry_ms: int | None = None
        self.last_id: str | None = None

    def begin_again(self) -> None:
        """Forget an event that a broken connection left unfinished: a resumed stream sends it whole."""
        self._scanner = EventScanner(self._limit_bytes)

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes. Raises EventTooLargeError."""
        for block in self._scanner.feed(chunk).blocks:
            event = self._read(block)
            if event is not None:
                yield event

    def _read(self, block: bytes) -> Event | None:
        data: list[bytes] = []
        event_name = b""
        for name, value in _read_fields(block):
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event_name = value
            else:
                self._note(name, value)
        text = b"\n".join(data).decode(errors="replace")
        return Event(text, event_name.decode(errors="replace") or "message", self.last_id) if text else None

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"id" and b"\0" not in value:
            self.last_id = value.decode(errors="replace")[:_LONGEST_ID_CHARS]
        elif name == b"retry" and value.isdigit():
            self.retry_ms = int(value[:9])
