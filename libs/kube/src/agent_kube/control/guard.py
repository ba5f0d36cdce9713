"""Stops a reconciler that writes again and again, against another controller or its own rounding.

Only passes that wrote count, so that a busy but quiet object is never held back. The budget of an object grows with
the children it manages and refills over `window_s`. When it is spent, the object is looked at once per refilled
token: a fight is slowed down to a few writes a minute, and ends by itself when its cause does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from agent_kube.objects import ObjectKey

SHORTEST_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Writing passes of one object per window: `base` plus `per_child` for each child."""

    base: int = 40
    per_child: int = 10
    window_s: float = 300.0


@dataclass(slots=True)
class Bucket:
    """Tokens left as of `at`, and how many fit."""

    tokens: float
    capacity: int
    at: float


class HotLoopGuard:
    """One token bucket per object that has written recently."""

    def __init__(self, budget: Budget, *, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._buckets: dict[ObjectKey, Bucket] = {}

    def wrote(self, key: ObjectKey, children: int) -> None:
        """A pass over `key` wrote something."""
        capacity = self._budget.base + self._budget.per_child * children
        bucket = self._refilled(key) or Bucket(capacity, capacity, self._clock())
        bucket.tokens = max(0.0, bucket.tokens + max(0, capacity - bucket.capacity) - 1)
        bucket.capacity = capacity
        self._buckets[key] = bucket

    def blocked_s(self, key: ObjectKey) -> float:
        """Seconds until the next look is due; 0 when `key` may be reconciled now."""
        bucket = self._refilled(key)
        if bucket is None or bucket.tokens >= 1:
            return 0.0
        return max(SHORTEST_S, (1 - bucket.tokens) * self._budget.window_s / bucket.capacity)

    def forget(self, key: ObjectKey) -> None:
        """The object was edited or is gone: what was written before is no fight."""
        self._buckets.pop(key, None)

    def _refilled(self, key: ObjectKey) -> Bucket | None:
        bucket = self._buckets.get(key)
        if bucket is None:
            return None
        now = self._clock()
        bucket.tokens += (now - bucket.at) * bucket.capacity / self._budget.window_s
        bucket.at = now
        if bucket.tokens >= bucket.capacity:
            del self._buckets[key]
            return None
        return bucket
