"""The keys to work on: each at most once in line and never in two hands.

A key that is added while it is being worked on waits until that is done, then comes up once, however often it was
added. Live edits overtake the bulk of an initial list. Within a band the namespaces take turns, so that a burst of one
tenant delays the others by no more than one key. Delays are one heap and one timer.
"""

import asyncio
import heapq
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from enum import IntEnum
from typing import Generic, Protocol, TypeVar

from agent_base.backoff import Backoff
from agent_kube.errors import QueueClosed

K = TypeVar("K", bound=Hashable)


class Priority(IntEnum):
    """Bands of the queue; the first is emptied before the second is looked at."""

    LIVE = 0
    BULK = 1


class QueueObserver(Protocol):
    """What the queue tells its metrics. Durations in seconds."""

    def added(self) -> None:
        """A key was put in line."""

    def started(self, queued_s: float) -> None:
        """A key was taken after so long in line."""

    def finished(self, worked_s: float) -> None:
        """Work on a key is over."""

    def retried(self) -> None:
        """A key failed and will be tried again."""


class _Line(Generic[K]):
    """Keys of one band, in line by tenant; tenants take turns."""

    def __init__(self, tenant: Callable[[K], Hashable]) -> None:
        self._tenant = tenant
        self._lines: OrderedDict[Hashable, deque[K]] = OrderedDict()

    def append(self, key: K) -> None:
        self._lines.setdefault(self._tenant(key), deque()).append(key)

    def pop(self) -> K | None:
        """The next key of the tenant whose turn it is, None when nobody waits."""
        if not self._lines:
            return None
        tenant, line = self._lines.popitem(last=False)
        key = line.popleft()
        if line:
            self._lines[tenant] = line
        return key


class WorkQueue(Generic[K]):
    """Keyed queue of one event loop. `retry` pauses from `initial_s` to `maximum_s` per key.

    `tenant`: who a key belongs to; the keys of several tenants are taken in turns.
    """

    def __init__(
        self,
        *,
        observer: QueueObserver | None = None,
        tenant: Callable[[K], Hashable] = lambda _key: None,
        initial_s: float = 0.25,
        maximum_s: float = 300.0,
        clock: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._observer = observer
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._clock = clock or asyncio.get_running_loop().time
        self._chance = chance
        self._lines: dict[Priority, _Line[K]] = {band: _Line(tenant) for band in Priority}
        self._dirty: dict[K, Priority] = {}
        self._since: dict[K, float] = {}
        self._processing: dict[K, float] = {}
        self._delayed: dict[K, tuple[float, Priority]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._pushes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._failures: dict[K, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """Keys in line; those being worked on and those delayed do not count."""
        return sum(1 for key in self._dirty if key not in self._processing)

    def ages_s(self) -> list[float]:
        """How long each key that is being worked on has been, in seconds."""
        now = self._clock()
        return [now - started for started in self._processing.values()]

    def add(self, key: K, priority: Priority = Priority.LIVE) -> None:
        """Put `key` in line, or move it up if it stands in a lower band."""
        if self._closed:
            return
        standing = self._dirty.get(key)
        if standing is not None and standing <= priority:
            return
        self._dirty[key] = priority
        if standing is None:
            self._since[key] = self._clock()
            if self._observer:
                self._observer.added()
        if key not in self._processing:
            self._line_up(key, priority)

    def add_after(self, key: K, delay_s: float, priority: Priority = Priority.LIVE) -> None:
        """`add` in `delay_s` seconds. Of several delays of one key the earliest counts."""
        if self._closed:
            return
        if delay_s <= 0:
            self.add(key, priority)
            return
        due = self._clock() + delay_s
        known = self._delayed.get(key)
        if known is not None and known[0] <= due:
            self._delayed[key] = (known[0], min(known[1], priority))
            return
        self._delayed[key] = (due, min(known[1], priority) if known else priority)
        self._pushes += 1
        heapq.heappush(self._heap, (due, self._pushes, key))
        self._set_timer()

    def retry(self, key: K, at_least_s: float = 0.0, at_most_s: float | None = None) -> float:
        """`add` after the key's own growing pause; answers it in seconds. `at_least_s` is the stronger limit."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest_s = self._maximum_s if at_most_s is None else min(at_most_s, self._maximum_s)
        backoff = Backoff(self._initial_s, longest_s, low=0.5, high=1.5, chance=self._chance)
        pause_s = max(at_least_s, backoff.pause_s(failures))
        if self._observer:
            self._observer.retried()
        self.add_after(key, pause_s)
        return pause_s

    def forget(self, key: K) -> None:
        """The key has succeeded: its next failure begins with the first pause."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often the key failed in a row."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """Take the next key; `done` must follow. Raises QueueClosed once the queue is closed."""
        while not self._closed:
            key = self._pop()
            if key is not None:
                return key
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake()  # the key that this getter was woken for is another's now
                raise
        raise QueueClosed

    def done(self, key: K) -> None:
        """Work on `key` is over; if it was added meanwhile, it lines up again."""
        started = self._processing.pop(key)
        if self._observer:
            self._observer.finished(self._clock() - started)
        priority = self._dirty.get(key)
        if priority is not None:
            self._line_up(key, priority)

    def close(self) -> None:
        """Take no more keys and send every `get` home."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)

    def _pop(self) -> K | None:
        for priority, line in self._lines.items():
            while (key := line.pop()) is not None:
                if self._dirty.get(key) is priority and key not in self._processing:
                    return self._start(key)
        return None

    def _start(self, key: K) -> K:
        now = self._clock()
        del self._dirty[key]
        self._processing[key] = now
        queued_s = now - self._since.pop(key)
        if self._observer:
            self._observer.started(queued_s)
        return key

    def _line_up(self, key: K, priority: Priority) -> None:
        self._lines[priority].append(key)
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._heap and not self._closed:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, self._heap[0][0] - self._clock()), self._release_due)

    def _release_due(self) -> None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            entry = self._delayed.get(key)
            if entry is not None and entry[0] == due:
                del self._delayed[key]
                self.add(key, entry[1])
        self._set_timer()
