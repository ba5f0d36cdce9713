"""`asyncio.timeout` for the path of every chunk: the same rules, without two coroutines and an enum each time."""

import asyncio
from types import TracebackType
from typing import Self


class Deadline:
    """Cancels what is done inside after `seconds`, and makes TimeoutError of that. Used once, in one task."""

    __slots__ = ("_cancelling", "_expired", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline is for a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = task.get_loop().call_later(self._seconds, self._expire)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()


class Watch:
    """A deadline for each of many waits in a row, with one timer that is moved only when it goes off.

    Between `arm` and `disarm` the task is cancelled when the time is up; `expired` then says that it was this.
    """

    __slots__ = ("_loop", "_task", "_timer", "_until", "expired")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0
        self.expired = False

    def arm(self, seconds: float) -> None:
        """Begin to wait in the current task."""
        self.expired = False
        self._task = asyncio.current_task()
        self._until = until = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > until:
            self.close()
            self._timer = self._loop.call_at(until, self._wake)

    def disarm(self) -> None:
        """What was waited for has come, or it was given up."""
        self._task = None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._wake)
            return
        self.expired = True
        self._task.cancel()
