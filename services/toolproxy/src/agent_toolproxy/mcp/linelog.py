"""What a server writes to its stderr, in the proxy's log: masked, cut, and not more than can be read.

Lines over the rate are counted, and their number is logged when there is room again.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from agent_base.boundedlines import BoundedLines

_log = logging.getLogger(__name__)
LONGEST_LINE_CHARS: Final = 500
BURST_LINES: Final = 50
LINES_PER_S: Final = 2.0
_LARGEST_LINE_BYTES: Final = 16_384
"""Most that is kept of a line until its end; secrets are masked in it before it is cut further."""


class LineLog:
    """Takes the bytes of one stream. `last_line` is for the reason of the process's end.

    `redact` gives None for a line of which nothing may be shown.
    """

    def __init__(
        self, server: str, redact: Callable[[str], str | None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._server = server
        self._redact = redact
        self._clock = clock
        self._lines = BoundedLines(_LARGEST_LINE_BYTES)
        self._allowance = float(BURST_LINES)
        self._filled_at = clock()
        self._left_out = 0
        self.last_line = ""

    def feed(self, chunk: bytes) -> None:
        """Log the lines that end in `chunk`."""
        for line in self._lines.feed(chunk):
            self._take(line)

    def close(self) -> None:
        """Log what was left without an end, and how much was left out."""
        for line in self._lines.close():
            self._take(line)
        self._tell_left_out()

    def _take(self, line: bytes) -> None:
        text = (self._redact(line.decode("utf-8", "replace")) or "").strip()[:LONGEST_LINE_CHARS]
        if not text:
            return
        self.last_line = text
        now = self._clock()
        self._allowance = min(BURST_LINES, self._allowance + (now - self._filled_at) * LINES_PER_S)
        self._filled_at = now
        if self._allowance < 1:
            self._left_out += 1
            return
        self._allowance -= 1
        self._tell_left_out()
        _log.info("server stderr", extra={"server": self._server, "line": text})

    def _tell_left_out(self) -> None:
        if self._left_out:
            _log.info("server stderr: lines left out", extra={"server": self._server, "lines": self._left_out})
            self._left_out = 0
