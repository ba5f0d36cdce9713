"""How often and how long one step may try. Only `TransientError` is tried again.

A pause is jittered over its whole upper half, so that a hundred Pods that lost the same index do not come back
at the same moment.
"""

import random
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from agent_api.initplan import InitLimits
from agent_api.initreport import InitFault
from agent_base.backoff import Backoff
from agent_initenv.errors import StepError, TransientError

T = TypeVar("T")
LONGEST_PAUSE_S: Final = 30.0


class Clock(Protocol):
    """Time and chance, so that tests can hold both."""

    def now_s(self) -> float:
        """Seconds on a clock that never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait; a signal ends it."""

    def chance(self) -> float:
        """A number in [0, 1)."""


class SystemClock:
    """The real clock."""

    def now_s(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; a signal ends it."""
        time.sleep(seconds)

    def chance(self) -> float:
        """Jitter needs no cryptographic strength."""
        return random.random()  # noqa: S311 - jitter


class RetryPolicy:
    """The attempts and the time of one step. `note` gets a line for each failed attempt."""

    def __init__(self, limits: InitLimits, clock: Clock, note: Callable[[str], None]) -> None:
        self.attempts = 1
        self._limits = limits
        self._clock = clock
        self._note = note
        self._backoff = Backoff(limits.backoff_seconds, LONGEST_PAUSE_S, chance=clock.chance)
        self._deadline_s = clock.now_s() + limits.step_timeout_seconds

    def left_s(self) -> float:
        """Seconds until the deadline. Raises StepError (TimedOut) when there are none."""
        left_s = self._deadline_s - self._clock.now_s()
        if left_s <= 0:
            raise StepError(InitFault.TIMED_OUT, f"The step was not done after {self._limits.step_timeout_seconds} s.")
        return left_s

    def call(self, action: Callable[[], T]) -> T:
        """The result of `action`, tried again on each TransientError while attempts and time last."""
        while True:
            try:
                return action()
            except TransientError as error:
                self._pause(error)
                self.attempts += 1

    def _pause(self, error: TransientError) -> None:
        if self.attempts >= self._limits.attempts:
            raise StepError(
                error.fault, f"{error.cause} (attempt {self.attempts} of {self._limits.attempts})", error.cure
            ) from error
        pause_s = self._backoff.pause_s(self.attempts - 1)
        if pause_s >= self.left_s():
            raise StepError(
                InitFault.TIMED_OUT,
                f"No time is left for another attempt after {self._limits.step_timeout_seconds} s. "
                f"The last one: {error.cause}",
            ) from error
        self._note(
            f"attempt {self.attempts} of {self._limits.attempts} failed, again in {pause_s:.1f} s: {error.cause}"
        )
        self._clock.sleep(pause_s)
