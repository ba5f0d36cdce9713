"""What a person sees: colour only on a terminal, prefixes that line up, errors in one shape."""

import os
import sys
from typing import TextIO

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36", "dim": "2"}
_PREFIX_COLOURS = ("cyan", "magenta", "blue", "green", "yellow")


class Terminal:
    """Writes to one stream, with colour when it is a terminal and NO_COLOR is not set."""

    def __init__(self, stream: TextIO, *, colour: bool | None = None) -> None:
        self._stream = stream
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ if colour is None else colour

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour, or as it is where colours are off."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._colour else text

    def line(self, text: str = "") -> None:
        """Writes a line at once."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def discard(self) -> None:
        """Once nobody reads any more: what is still written, or waits to be at the exit, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def error(self, message: str, cure: str = "") -> None:
        """One error, with what to do about it."""
        self.line(f"{self.paint('error:', 'red')} {message}")
        if cure:
            self.line(f"{self.paint('  try:', 'yellow')} {cure}")

    def prefixed(self, source: str, text: str, *, width: int = 10, order: int = 0) -> None:
        """A line of a process, behind the name of its container."""
        colour = _PREFIX_COLOURS[order % len(_PREFIX_COLOURS)]
        self.line(f"{self.paint(f'{source:<{width}} |', colour)} {text}")


def visible(text: str) -> str:
    """All of `text`, with a question mark for each character that a terminal would act on."""
    return "".join(each if each.isprintable() else "?" for each in text)


def stdout() -> Terminal:
    """Standard output, for results alone: scripts read it."""
    return Terminal(sys.stdout)


def stderr() -> Terminal:
    """Standard error, for progress, notes and errors."""
    return Terminal(sys.stderr)
