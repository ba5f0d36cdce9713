import pytest

from agent_api.initplan import InitLimits
from agent_api.initreport import InitFault
from agent_initenv.errors import StepError, TransientError
from agent_initenv.retry import RetryPolicy, SystemClock


class HeldClock:
    """Time passes only by sleeping; `chance` is what the test says."""

    def __init__(self, chance: float = 0.999) -> None:
        self.time_s = 100.0
        self.pauses: list[float] = []
        self._chance = chance

    def now_s(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time_s += seconds

    def chance(self) -> float:
        return self._chance


def fail_times(count: int, error: StepError) -> list[StepError | str]:
    return [*[error] * count, "done"]


def answer(script: list[StepError | str]) -> str:
    following = script.pop(0)
    if isinstance(following, StepError):
        raise following
    return following


BUSY = TransientError(InitFault.NETWORK_FAILED, "The index answered 503.")


def test_pauses_double_up_to_thirty_seconds() -> None:
    clock = HeldClock()
    lines: list[str] = []
    retry = RetryPolicy(InitLimits(attempts=8, backoff_seconds=2, step_timeout_seconds=7200), clock, lines.append)
    script = fail_times(6, BUSY)
    assert retry.call(lambda: answer(script)) == "done"
    assert [round(pause) for pause in clock.pauses] == [2, 4, 8, 16, 30, 30]
    assert retry.attempts == 7
    assert lines[0] == "attempt 1 of 8 failed, again in 2.0 s: The index answered 503."


def test_jitter_takes_away_up_to_half() -> None:
    clock = HeldClock(chance=0.0)
    script = fail_times(1, BUSY)
    RetryPolicy(InitLimits(backoff_seconds=2), clock, lambda _: None).call(lambda: answer(script))
    assert clock.pauses == [1.0]


def test_other_errors_are_not_tried_again() -> None:
    clock = HeldClock()
    retry = RetryPolicy(InitLimits(), clock, lambda _: None)
    script = fail_times(1, StepError(InitFault.HASH_MISMATCH, "wrong"))
    with pytest.raises(StepError, match="wrong"):
        retry.call(lambda: answer(script))
    assert (retry.attempts, clock.pauses) == (1, [])


def test_attempts_are_shared_by_all_of_a_step() -> None:
    retry = RetryPolicy(InitLimits(attempts=3), HeldClock(), lambda _: None)
    for _ in range(2):
        script = fail_times(1, BUSY)
        retry.call(lambda script=script: answer(script))  # type: ignore[misc] # bound now
    with pytest.raises(StepError, match="attempt 3 of 3"):
        retry.call(lambda: answer([BUSY]))


def test_the_deadline_counts_sleeping() -> None:
    clock = HeldClock()
    retry = RetryPolicy(InitLimits(step_timeout_seconds=5, backoff_seconds=4), clock, lambda _: None)
    script = fail_times(3, BUSY)
    with pytest.raises(StepError, match="No time is left") as caught:
        retry.call(lambda: answer(script))
    assert caught.value.fault == InitFault.TIMED_OUT
    assert sum(clock.pauses) < 5
    clock.sleep(10)
    with pytest.raises(StepError, match="not done after 5 s"):
        retry.left_s()


def test_the_real_clock() -> None:
    clock = SystemClock()
    before = clock.now_s()
    clock.sleep(0.01)
    assert clock.now_s() > before
    assert 0 <= clock.chance() < 1
