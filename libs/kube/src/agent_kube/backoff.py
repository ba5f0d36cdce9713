"""Pauses that grow with repeated failure, spread by chance so that clients do not come back together."""

import random
import time
from collections.abc import Callable


class Backoff:
    """Pauses from `initial_s` to `maximum_s`, doubling; back to the first after `calm_s` without one.

    Each is spread over half to one and a half of its length, and never exceeds `maximum_s`.
    """

    def __init__(
        self,
        *,
        initial_s: float = 0.8,
        maximum_s: float = 30.0,
        calm_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._calm_s = calm_s
        self._clock = clock
        self._chance = chance
        self._failures = 0
        self._resumes_at = clock()

    def next_s(self, at_least_s: float = 0.0) -> float:
        """The pause to make now. `at_least_s`: what the server asked for."""
        now = self._clock()
        if now - self._resumes_at >= self._calm_s:
            self._failures = 0
        pause_s = max(at_least_s, spread(self._initial_s, self._failures, self._maximum_s, self._chance()))
        self._failures += 1
        self._resumes_at = now + pause_s
        return pause_s


def spread(initial_s: float, failures: int, maximum_s: float, chance: float) -> float:
    """Length of the pause after `failures` earlier ones; `chance` from 0 to 1 places it around the middle."""
    middle_s = min(maximum_s, initial_s * 2.0 ** min(failures, 32))
    return min(maximum_s, middle_s * (0.5 + chance))
