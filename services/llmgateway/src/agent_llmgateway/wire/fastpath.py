"""The short way for nearly all of a stream: events that carry nothing but output are counted many at a time.

Only for a stream that goes to the client as it comes, and only behind its first output. Whatever is not counted here
is looked at event by event; so this path can be wrong only by being slow.
"""

from typing import Final

from agent_llmgateway.wire.dialects import Dialect

MANY_BYTES: Final = 2048
"""A chunk from which on it pays to look at its middle in one go."""
LAST_EVENTS: Final = 4
"""Events at the end of a stream that are no output: finish, usage, sentinel."""


class PlainEvents:
    """Finds the plain part of chunks. `text_bytes` are those of its text, 0 where it is not measured."""

    def __init__(self, dialect: Dialect, *, measures: bool) -> None:
        self._dialect = dialect
        self._measures = measures
        self.text_bytes = 0

    def split(self, chunk: bytes) -> tuple[bytes, ...]:
        """A large `chunk` in parts, of which the largest is likely to be plain."""
        return _cut_ends(chunk)

    def count(self, part: bytes) -> int:
        """How many events `part` is, when it is whole events with nothing but output; else 0."""
        if b"\r" in part:
            return 0
        if not self._measures:
            return self._dialect.count_plain(part)
        events, size = self._dialect.measure_plain(part)
        self.text_bytes += size
        return events


def _cut_ends(chunk: bytes) -> tuple[bytes, ...]:
    """The first two events, with which a stream may begin; those in between; the last, with which it may end."""
    begins = chunk.find(b"\n\n", chunk.find(b"\n\n") + 2) + 2
    ends = len(chunk)
    for _ in range(LAST_EVENTS):
        ends = chunk.rfind(b"\n\n", begins, ends)
    return (chunk[:begins], chunk[begins : ends + 2], chunk[ends + 2 :]) if ends > begins > 2 else (chunk,)
