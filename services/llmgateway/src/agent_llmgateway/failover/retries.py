"""Retries are a share of the traffic, so that an outage is not answered with more load.

Every request pays a fraction of a retry in, every retry takes one out. A success pays a whole one, so that a
quiet agent has its retries back after an outage; during one there are none.
"""

import random
from collections.abc import Callable
from typing import Final

RESERVE: Final = 10.0
"""Retries that are there at the start, and at most."""


class RetryBudget:
    """Tokens of the whole process."""

    def __init__(self, ratio: float = 0.2) -> None:
        self.ratio = ratio
        self._balance = RESERVE

    def note_request(self) -> None:
        """A request came in."""
        self._balance = min(RESERVE, self._balance + self.ratio)

    def note_success(self) -> None:
        """A request was answered."""
        self._balance = min(RESERVE, self._balance + 1.0)

    def take(self) -> bool:
        """Whether one more try of the same route may be made. A ratio of 1 is no limit."""
        if self.ratio >= 1:
            return True
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True


class Backoff:
    """Waits that double, with jitter, so that clients that failed together do not return together."""

    def __init__(self, first_s: float, longest_s: float, jitter: Callable[[], float] = random.random) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._jitter = jitter

    def wait_s(self, retry: int) -> float:
        """Seconds before retry number `retry`, from 0: x0.8 to x1.2."""
        return float(min(self._longest_s, self._first_s * 2**retry) * (0.8 + 0.4 * self._jitter()))
