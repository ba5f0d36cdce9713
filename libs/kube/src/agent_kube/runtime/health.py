"""Whether this process works: ready = the caches are complete and may be followed, alive = loop and watchers move.

An API server that is away makes neither fail: watchers that try again do move. Restarting would help nothing then.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Never

from agent_kube.cache.store import Stores
from agent_kube.cache.watcher import Watcher

PROBE_S = 1.0


class Health:
    """Answers for the probes. `lag_s`: longest delay of the loop; `silence_s`: longest standstill of a watcher."""

    def __init__(
        self,
        stores: Stores,
        watchers: Sequence[Watcher[Any]],
        *,
        lag_s: float = 10.0,
        silence_s: float = 180.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._watchers = watchers
        self._lag_s = lag_s
        self._silence_s = silence_s
        self._clock = clock
        self._probed_at = clock()
        self.loop_lag_s = 0.0

    def unready(self) -> str | None:
        """What is still to be cached; None when ready."""
        missing = [str(store.source.resource) for store in self._stores if not store.synced]
        if missing:
            return f"not listed yet: {', '.join(missing)}"
        blind = next((error for store in self._stores if (error := store.blind)), None)
        return f"rights are missing: {blind}" if blind else None

    def ailing(self) -> str | None:
        """What stands still; None when alive."""
        now = self._clock()
        problems = [
            f"{watcher.name}: nothing for {now - watcher.progress_at:.0f} s"
            for watcher in self._watchers
            if now - watcher.progress_at > self._silence_s
        ]
        lag_s = max(self.loop_lag_s, now - self._probed_at - PROBE_S)
        if lag_s > self._lag_s:
            problems.append(f"event loop: {lag_s:.1f} s late")
        return "; ".join(problems) or None

    async def run(self) -> Never:
        """Measure the loop's lag once a second, until cancelled."""
        while True:
            self._probed_at = self._clock()
            await asyncio.sleep(PROBE_S)
            self.loop_lag_s = max(0.0, self._clock() - self._probed_at - PROBE_S)
