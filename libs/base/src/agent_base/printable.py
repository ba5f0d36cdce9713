"""Text of others as one bounded line that a terminal shows as it is.

An agent, a provider or a package chooses what it writes into a log or a report. The operator puts it into a status and
`agentberth diagnose` onto a terminal, where escape sequences would move the cursor and bidirectional marks would
reorder words.
"""

import re
from typing import Final

_ESCAPES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x1b\\|\x07|$)"  # OSC and its kin: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_CUT: Final = "..."


def printable(text: str, limit_chars: int) -> str:
    """`text` without escape sequences, each other character that is not printable a space, cut to `limit_chars`."""
    bounded = text[: 4 * limit_chars]  # what is cut anyway is not worth the work
    if "\x1b" in bounded:
        bounded = _ESCAPES.sub("", bounded)
    if not bounded.isprintable():
        bounded = "".join(char if char.isprintable() else " " for char in bounded)
    return bounded if len(bounded) <= limit_chars else f"{bounded[: limit_chars - len(_CUT)]}{_CUT}"
