"""Retries are a share of the traffic, so that an outage is not answered with more load.

Every request pays a fraction of a retry in, every retry takes one out. A success pays a whole one, so that a
quiet agent has its retries back after an outage; during one there are none.
"""

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
