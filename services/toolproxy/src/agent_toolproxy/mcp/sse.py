"""Server-sent events: the frames that are written, and a parser for those that come."""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.mcp.messages import Json

KEEP_ALIVE: Final = b": ping\r\n\r\n"
HEADERS: Final = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}
LONGEST_EVENT_CHARS: Final = 16 << 20
_LONGEST_ID_CHARS: Final = 1024
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


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
    """Takes bytes as they come and gives events as they are complete, in time linear in the bytes.

    `retry_ms` and `last_id` are the stream's. Raises ValueError for an event that is too long, ended or not.
    """

    retry_ms: int | None = None
    last_id: str | None = None
    _unfinished: list[str] = field(default_factory=list)
    _size: int = 0
    _data: list[str] = field(default_factory=list)
    _name: str = ""
    _begun: bool = False
    _held: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that `chunk` completes."""
        *lines, rest = _LINE_END.split(self._decode(chunk))
        for line in lines:
            self._spend(len(line) + 1)
            whole = "".join((*self._unfinished, line))
            self._unfinished.clear()
            event = self._read_line(whole)
            if event is not None:
                yield event
        if rest:
            self._spend(len(rest))
            self._unfinished.append(rest)

    def _decode(self, chunk: bytes) -> str:
        """The text of `chunk`. A CR at its end is held back: an LF may follow."""
        text = self._held + self._decoder.decode(chunk)
        if not self._begun and text:
            text = text.removeprefix("\ufeff")
            self._begun = True
        self._held = "\r" if text.endswith("\r") else ""
        return text.removesuffix("\r")

    def _spend(self, size: int) -> None:
        self._size += size
        if self._size > LONGEST_EVENT_CHARS:
            raise ValueError("an event that is too long")

    def _read_line(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self._size -= len(line) + 1
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self.last_id = value[:_LONGEST_ID_CHARS]
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_ms = int(value[:9])
        return None

    def _dispatch(self) -> Event | None:
        data, name = "\n".join(self._data), self._name or "message"
        self._data, self._name, self._size = [], "", 0
        return Event(data, name, self.last_id) if data else None
