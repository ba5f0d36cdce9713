"""Server-sent events: the frames that are written, and a parser for those that come."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from agent_toolproxy.mcp.codec import dump_json
from agent_toolproxy.mcp.messages import Json

KEEP_ALIVE: Final = b": ping\r\n\r\n"
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
LONGEST_EVENT_CHARS: Final = 64 << 20


def frame(message: Json) -> bytes:
    """A message as one event."""
    return f"event: message\r\ndata: {dump_json(message)}\r\n\r\n".encode()


@dataclass(frozen=True)
class Event:
    """One event with data."""

    data: str
    name: str = "message"
    event_id: str | None = None


@dataclass
class EventParser:
    """Takes bytes as they come and gives events as they are complete. `retry_ms` and `last_id` are the stream's.

    Raises ValueError for an event that never ends.
    """

    retry_ms: int | None = None
    last_id: str | None = None
    _text: str = ""
    _data: list[str] = field(default_factory=list)
    _size: int = 0
    _name: str = ""
    _begun: bool = False
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes."""
        self._text += self._decoder.decode(chunk)
        if not self._begun and self._text:
            self._text = self._text.removeprefix("\ufeff")
            self._begun = True
        while (line := self._take_line()) is not None:
            event = self._read_line(line)
            if event is not None:
                yield event
        if len(self._text) + self._size > LONGEST_EVENT_CHARS:
            raise ValueError("an event that is too long")

    def _take_line(self) -> str | None:
        """The next line. A CR at the very end waits: an LF may follow."""
        ends = [at for at in (self._text.find("\n"), self._text.find("\r")) if at >= 0]
        if not ends:
            return None
        end = min(ends)
        if self._text[end] == "\r" and end + 1 == len(self._text):
            return None
        width = 2 if self._text.startswith("\r\n", end) else 1
        line, self._text = self._text[:end], self._text[end + width :]
        return line

    def _read_line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._size += len(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_ms = int(value[:9])
        return None

    def _dispatch(self) -> Event | None:
        data, name = "\n".join(self._data), self._name or "message"
        self._data, self._name, self._size = [], "", 0
        return Event(data, name, self.last_id) if data else None
