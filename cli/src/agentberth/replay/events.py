"""Server-sent events, as far as a cassette looks into them."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from agentberth.replay.bodies import parsed

_BETWEEN: Final = re.compile(rb"(\r\n\r\n|\n\n|\r\r)")
_DATA: Final = re.compile(rb"(?m)^data: ?([^\r\n]*)")


def data_of(stream: bytes) -> Iterator[Any]:
    """The JSON of each event that has some."""
    for match in _DATA.finditer(stream):
        value = parsed(match[1])
        if value is not None:
            yield value


def with_data(stream: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """`stream` with the data of each event as `change` gives it."""
    return _DATA.sub(lambda match: match[0][: match.start(1) - match.start()] + change(match[1]), stream)


def split(stream: bytes) -> Iterator[bytes]:
    """The events of `stream`, each with its end; what follows the last one comes last."""
    parts = _BETWEEN.split(stream)
    for at in range(0, len(parts), 2):
        event = b"".join(parts[at : at + 2])
        if event:
            yield event
