"""Caches trail behind our own writes.

A reconcile that acts on the state before them would do its work twice, or undo it; so a key rests until the caches
show what its last pass wrote.

A write that never shows, because the object was deleted at once or leaves the selector, is waited for no longer than
`timeout_s`.
"""

from collections.abc import Callable

from agent_kube.cache.store import Stores
from agent_kube.control.request import Expectation, Writes
from agent_kube.objects import ObjectKey


class LagTracker:
    """Which keys wait for the caches, and until when at the latest."""

    def __init__(self, stores: Stores, *, timeout_s: float, clock: Callable[[], float]) -> None:
        self._stores = stores
        self._timeout_s = timeout_s
        self._clock = clock
        self._waiting: dict[ObjectKey, tuple[float, list[Expectation]]] = {}

    def wrote(self, key: ObjectKey, writes: Writes) -> None:
        """A pass over `key` has made these writes."""
        unmet = [expectation for expectation in writes.expected if not expectation.met(self._stores)]
        if unmet:
            self._waiting[key] = (self._clock() + self._timeout_s, unmet)

    def rest_s(self, key: ObjectKey) -> float:
        """How long `key` should rest at the longest; 0 when the caches have caught up or time is out."""
        waiting = self._waiting.get(key)
        if waiting is None:
            return 0.0
        deadline, expectations = waiting
        unmet = [expectation for expectation in expectations if not expectation.met(self._stores)]
        left_s = deadline - self._clock()
        if not unmet or left_s <= 0:
            del self._waiting[key]
            return 0.0
        self._waiting[key] = (deadline, unmet)
        return left_s

    def waits(self, key: ObjectKey) -> bool:
        """Whether `key` was left resting: a change of its object is then worth a look."""
        return key in self._waiting

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._waiting.pop(key, None)
