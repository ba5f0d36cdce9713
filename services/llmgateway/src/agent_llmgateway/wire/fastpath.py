"""The short way for nearly all of a stream: events that carry nothing but output are counted many at a time.

Only for a stream that goes to the client as it comes, and only behind its first output. Whatever is not counted here
is looked at event by event; so this path can be wrong only by being slow.
"""

from collections.abc import Callable
from typing import Final

from agent_llmgateway.wire.dialects import NOT_PLAIN, PlainCount

MANY_BYTES: Final = 2048
"""A chunk from which on it pays to look at its middle in one go."""
LAST_EVENTS: Final = 4
"""Events at the end of a stream that are no output: finish, usage, sentinel."""


class PlainEvents:
    """Finds the plain part of chunks. `count` is the dialect's `count_plain`."""

    def __init__(self, count: Callable[[bytes], PlainCount]) -> None:
        self._count = count

    def split(self, chunk: bytes) -> tuple[bytes, ...]:
        """`chunk` in parts, of which the large one is likely to be plain."""
        return (chunk,) if len(chunk) < MANY_BYTES else _cut_ends(chunk)

    def count(self, part: bytes) -> PlainCount:
        """What `part` is, when it is whole events with nothing but output; else `NOT_PLAIN`."""
        return NOT_PLAIN if b"\r" in part else self._count(part)


def _cut_ends(chunk: bytes) -> tuple[bytes, ...]:
    """The first two events, with which a stream may begin; those in between; the last, with which it may end."""
    begins = chunk.find(b"\n\n", chunk.find(b"\n\n") + 2) + 2
    ends = len(chunk)
    for _ in range(LAST_EVENTS):
        ends = chunk.rfind(b"\n\n", begins, ends)
    return (chunk[:begins], chunk[begins : ends + 2], chunk[ends + 2 :]) if ends > begins > 2 else (chunk,)
