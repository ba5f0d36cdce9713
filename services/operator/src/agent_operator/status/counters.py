"""Counters in the status, written rarely: a busy agent counts with each call, and each write costs the API server."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_kube import ObjectKey

COUNTERS: Final = frozenset({"requests", "failures", "inputTokens", "outputTokens"})


class CounterPace:
    """Lets a change of nothing but counters of providers through once in `interval_s`."""

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._at: dict[ObjectKey, float] = {}

    def calm(self, key: ObjectKey, llm: Any, before: Any) -> Any:  # noqa: ANN401 - `llmStatus`, as JSON
        """`llm`, or what the status has already where that differs only in counters written lately."""
        now = self._clock()
        if llm is None or _without_counters(llm) != _without_counters(before) or llm == before:
            self._at.setdefault(key, now)
            return llm
        if now - self._at.get(key, now - self._interval_s) < self._interval_s:
            return before
        self._at[key] = now
        return llm

    def forget(self, key: ObjectKey) -> None:
        """The agent is gone."""
        self._at.pop(key, None)


def _without_counters(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {name: _without_counters(inner) for name, inner in value.items() if name not in COUNTERS}
    return value
