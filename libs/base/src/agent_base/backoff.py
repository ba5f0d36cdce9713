"""Pauses that grow with repeated failure, spread by chance so that clients that failed together return apart."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 32


@dataclass(frozen=True)
class Backoff:
    """Pauses from `first_s` to `longest_s`, doubling. Each is spread over `low` to `high` of its length.

    `chance` gives numbers in [0, 1). No pause exceeds `longest_s`.
    """

    first_s: float
    longest_s: float
    low: float = 0.5
    high: float = 1.0
    chance: Callable[[], float] = random.random

    def pause_s(self, failures: int) -> float:
        """The pause after `failures` earlier ones (0: the first pause)."""
        middle_s = min(self.longest_s, self.first_s * 2.0 ** min(failures, _MOST_DOUBLINGS))
        spread = self.low + (self.high - self.low) * self.chance()
        return min(self.longest_s, middle_s * spread)


class BackoffTimer:
    """Counts the failures of one thing; after `calm_s` without one, the next pause is the first again."""

    def __init__(self, backoff: Backoff, *, calm_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._backoff = backoff
        self._calm_s = calm_s
        self._clock = clock
        self._failures = 0
        self._resumes_at = clock()

    def next_s(self, at_least_s: float = 0.0) -> float:
        """The pause to make now. `at_least_s`: what the server asked for."""
        now = self._clock()
        if now - self._resumes_at >= self._calm_s:
            self._failures = 0
        pause_s = max(at_least_s, self._backoff.pause_s(self._failures))
        self._failures += 1
        self._resumes_at = now + pause_s
        return pause_s
