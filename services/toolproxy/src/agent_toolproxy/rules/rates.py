"""How often a tool is called: over the last minute, and since midnight UTC.

Counts of the day are kept in the proxy's own folder, which the agent cannot write to, so that a restart of the proxy
does not begin them anew. A new Pod begins anew, and each replica counts for itself.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent_api.toolsconfig import CallRate
from agent_base.atomicfile import write_atomically
from agent_toolproxy.errors import RateExceeded
from agent_toolproxy.rules.matching import names_tool

_log = logging.getLogger(__name__)
_MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400
_LARGEST_BYTES: Final = 1 << 20


class Rates:
    """Counts calls. `file` holds the counts of the day."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._day = 0
        self._counts: dict[str, int] = {}

    def load(self) -> None:
        """What an earlier process of this Pod counted. Blocks."""
        try:
            with self._file.open("rb") as file:
                stored = json.loads(file.read(_LARGEST_BYTES))
            self._day, counts = int(stored["day"]), stored["counts"]
            self._counts = {str(name): int(count) for name, count in counts.items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("the counts of calls are damaged and begun anew", extra={"reason": type(error).__name__})

    def count(self, rates: tuple[CallRate, ...], tool: str) -> None:
        """Count one call of `tool`, by the first rate that names it. Raises RateExceeded, and counts nothing then."""
        rate = next((each for each in rates if names_tool(each.tools, tool)), None)
        if rate is None:
            return
        now = self._clock()
        recent = self._recent.setdefault(tool, deque())
        while recent and recent[0] <= now - _MINUTE_S:
            recent.popleft()
        if rate.per_minute is not None and len(recent) >= rate.per_minute:
            wait_s = max(1, round(recent[0] + _MINUTE_S - now))
            raise RateExceeded(f"{tool} may be called {rate.per_minute} times a minute: try again in {wait_s} s")
        self._count_day(rate, tool, int(now // _DAY_S))
        if rate.per_minute is not None:
            recent.append(now)

    def _count_day(self, rate: CallRate, tool: str, today: int) -> None:
        if rate.per_day is None:
            return
        if today > self._day:
            self._day, self._counts = today, {}
        if self._counts.get(tool, 0) >= rate.per_day:
            raise RateExceeded(f"{tool} may be called {rate.per_day} times a day (UTC): try again tomorrow")
        self._counts[tool] = self._counts.get(tool, 0) + 1
        try:
            write_atomically(self._file, json.dumps({"day": self._day, "counts": self._counts}).encode())
        except OSError as error:
            _log.warning("the counts of calls were not written", extra={"reason": error.strerror})
