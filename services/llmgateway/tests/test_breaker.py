import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from agent_llmgateway.failover.breaker import MOST_BREAKERS, BreakerBoard, BreakerKey
from agent_llmgateway.metrics.prometheus import Metrics
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure, network_failure

KEY = BreakerKey("provider", "model", "key")
DOWN = network_failure("down")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> BreakerBoard:
    return BreakerBoard(clock)


def fail(board: BreakerBoard, failure: Failure = DOWN) -> None:
    board.fail(KEY, failure, threshold=5, open_s=15)


def limited(wait_s: float) -> Failure:
    return Failure(Cause.RATE_LIMIT, 429, "slow down", retry_after_s=wait_s)


def test_it_opens_at_the_threshold_and_not_before(board: BreakerBoard) -> None:
    for _ in range(4):
        fail(board)
        assert board.state(KEY) == "closed"
    fail(board)
    assert board.state(KEY) == "open"
    assert not board.allow(KEY)


def test_a_success_in_between_starts_the_count_again(board: BreakerBoard) -> None:
    for _ in range(20):
        for _ in range(4):
            fail(board)
        board.succeed(KEY)
    assert board.state(KEY) == "closed"


def test_twenty_five_failures_are_not_left_in_rotation(board: BreakerBoard, clock: Clock) -> None:
    asked = 0
    for _ in range(25):
        if board.allow(KEY):
            asked += 1
            fail(board)
        clock.now += 0.1
    assert asked == 5


def test_half_open_lets_one_probe_through_and_closes_on_its_success(board: BreakerBoard, clock: Clock) -> None:
    fail(board, limited(10))
    clock.now += 10.01
    assert board.state(KEY) == "half-open"
    assert board.allow(KEY)
    assert not board.allow(KEY)
    board.succeed(KEY)
    assert board.allow(KEY)
    assert board.state(KEY) == "closed"
    assert board.reason(KEY) is None


def test_a_failed_probe_opens_it_again_at_once(board: BreakerBoard, clock: Clock) -> None:
    fail(board, limited(10))
    clock.now += 11
    assert board.allow(KEY)
    fail(board)
    assert board.state(KEY) == "open"
    assert board.remaining_s(KEY) == 15


def test_a_probe_whose_client_left_is_free_again(board: BreakerBoard, clock: Clock) -> None:
    fail(board, limited(1))
    clock.now += 2
    assert board.allow(KEY)
    board.release(KEY)
    assert board.allow(KEY)


@given(st.lists(st.floats(min_value=0.1, max_value=500), min_size=1, max_size=20))
def test_a_later_cool_down_never_shortens_an_earlier_one(waits: list[float]) -> None:
    clock = Clock()
    board = BreakerBoard(clock)
    ends = 0.0
    for wait_s in waits:
        fail(board, limited(wait_s))
        ends = max(ends, clock.now + wait_s)
        assert board.remaining_s(KEY) == pytest.approx(ends - clock.now)
        clock.now += 0.05


def test_streams_that_begin_well_and_always_break_still_open_it(board: BreakerBoard) -> None:
    for _ in range(5):
        board.begin(KEY)
        fail(board)
    assert board.state(KEY) == "open"


def test_breakers_of_another_key_or_value_are_apart(board: BreakerBoard) -> None:
    fail(board, limited(60))
    assert board.allow(KEY._replace(key="other"))
    assert board.allow(KEY._replace(mark="new value"))


def test_their_number_is_bounded(board: BreakerBoard) -> None:
    fail(board, limited(60))
    for number in range(MOST_BREAKERS + 100):
        board.succeed(BreakerKey("provider", f"model-{number}"))
    assert len(board.known()) <= MOST_BREAKERS
    assert board.state(KEY) == "open"


def test_a_rotated_key_leaves_one_series_and_no_model_more_than_its_share() -> None:
    board = BreakerBoard(lambda: 0.0)
    registry = CollectorRegistry()
    Metrics(registry, board)
    failure = network_failure("refused")
    board.fail(BreakerKey("main", "m", "api-key", "old"), failure, threshold=1, open_s=60)
    board.succeed(BreakerKey("main", "m", "api-key", "new"))
    for number in range(4_000):
        board.succeed(BreakerKey("main", f"any-{number}" * 30, "api-key", "new"))
    (family,) = (each for each in registry.collect() if each.name.endswith("breaker_open"))
    labels = [tuple(sample.labels.values()) for sample in family.samples]
    assert len(labels) == len(set(labels)) <= 202
    assert family.samples[0].value == 0.0
    assert max(len("".join(each)) for each in labels) < 700
