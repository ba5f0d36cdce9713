"""A request that was not recorded, explained: the nearest recording, and what is different in it."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agentberth.replay.asked import Asked
from agentberth.replay.canonical import LEFT_OUT

_MOST_DIFF_LINES: Final = 60
_MOST_COMPARED_LINES: Final = 4000
_LONGEST_LINE_CHARS: Final = 120
_CONTEXT_LINES: Final = 2


@dataclass(frozen=True)
class Miss:
    """`diff` goes from the nearest recording to the request; it is empty when there is none to compare."""

    asked: Asked
    message: str
    diff: tuple[str, ...] = ()

    def text(self) -> str:
        """For a person, over several lines."""
        compared = f"not compared: {'; '.join(LEFT_OUT)}" if self.diff else ""
        return "\n".join(filter(None, (self.message, *self.diff, compared)))


def explain(asked: Asked, key: str, *, used: int, candidates: Sequence[str]) -> Miss:
    """Why `key` has no recording. `used` counts those that it had and that were played."""
    if used:
        times = "once" if used == 1 else f"{used} times"
        return Miss(asked, f"{asked.title}: was recorded {times} and is asked for once more")
    if not candidates:
        return Miss(asked, f"{asked.title}: the cassette has no recording of {asked.side}")
    wanted = _lines(key)
    nearest = max(map(_lines, candidates), key=lambda lines: _likeness(lines, wanted))
    diff = tuple(difflib.unified_diff(nearest, wanted, "nearest recording", "request", n=_CONTEXT_LINES, lineterm=""))
    if len(diff) > _MOST_DIFF_LINES:
        diff = (*diff[:_MOST_DIFF_LINES], f"... {len(diff) - _MOST_DIFF_LINES} more lines")
    return Miss(asked, f"{asked.title}: was not recorded", diff)


def _lines(key: str) -> list[str]:
    document = json.loads(key.partition(" ")[2])
    lines = json.dumps(document, indent=1, ensure_ascii=False).splitlines()[:_MOST_COMPARED_LINES]
    return [part for line in lines for part in _parts(line)]


def _parts(line: str) -> list[str]:
    """A long text in pieces, so that a diff shows the one that differs."""
    return [line[at : at + _LONGEST_LINE_CHARS] for at in range(0, len(line), _LONGEST_LINE_CHARS)] or [""]


def _likeness(one: list[str], other: list[str]) -> float:
    """From 0 to 1, in time linear in what is compared."""
    mine, theirs = set(one), set(other)
    return len(mine & theirs) / max(1, len(mine | theirs))
