import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_base.backoff import Backoff, BackoffTimer


class HeldClock:
    def __init__(self) -> None:
        self.time_s = 1000.0

    def __call__(self) -> float:
        return self.time_s


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(2, 30, low=1.0)
    assert [backoff.pause_s(failures) for failures in range(6)] == [2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize("chance,pause_s", [(0.0, 4.0), (0.5, 5.0), (0.999, 5.998)])
def test_chance_places_a_pause_between_low_and_high(chance: float, pause_s: float) -> None:
    backoff = Backoff(5, 60, low=0.8, high=1.2, chance=lambda: chance)
    assert backoff.pause_s(0) == pytest.approx(pause_s)


@given(failures=st.integers(0, 10**9), chance=st.floats(0, 1, exclude_max=True), longest_s=st.floats(0.1, 1e6))
def test_no_pause_exceeds_the_longest(failures: int, chance: float, longest_s: float) -> None:
    assert 0 < Backoff(0.1, longest_s, low=0.5, high=1.5, chance=lambda: chance).pause_s(failures) <= longest_s


def test_pauses_are_spread_by_chance() -> None:
    assert len({Backoff(1, 30).pause_s(0) for _ in range(20)}) > 10


def test_the_timer_begins_anew_after_a_calm_time() -> None:
    clock = HeldClock()
    timer = BackoffTimer(Backoff(1, 30, low=1.0), calm_s=120, clock=clock)
    assert [timer.next_s(), timer.next_s()] == [1, 2]
    clock.time_s += 2 + 119
    assert timer.next_s() == 4
    clock.time_s += 4 + 120
    assert timer.next_s() == 1


def test_the_server_may_ask_for_a_longer_pause() -> None:
    timer = BackoffTimer(Backoff(1, 30, low=1.0), calm_s=120, clock=HeldClock())
    assert timer.next_s(at_least_s=45) == 45
