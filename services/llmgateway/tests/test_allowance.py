"""What a gateway may still spend, over restarts, windows, orders and a disk that is full."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_api.budget.grants import GrantOrder, Slice
from agent_api.budget.limits import window_at
from agent_api.gatewayconfig import GatewayBudget
from agent_llmgateway.budget.allowance import Allowance
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.errors import BudgetUnavailableError, OverBudgetError

NOW = 1_800_000_000.0
LOCAL = GatewayBudget(tokens_per_hour=1000, usd_per_day=2.0, tokens_per_run=5000)
GRANTED = GatewayBudget(tokens_per_hour=1000, granted=True)
HOUR = "tokensPerHour"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def order(serial: int, cap: int, *, at: float = NOW, **more: bool) -> GrantOrder:
    window = window_at("hour", at)
    return GrantOrder(serial=serial, issued_at=at, slices=(Slice(limit=HOUR, window=window, cap=cap, **more),))


async def spend(budget: Budget, limits: GatewayBudget, tokens: int, *, reserve: int | None = None) -> None:
    async with budget.admit(limits, reserve or tokens, 0) as reservation:
        reservation.charge(tokens, 0)


def spent(budget: Budget, limits: GatewayBudget) -> dict[str, float]:
    return {each.name: each.spent for each in budget.state(limits).limits}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(tmp_path: Path, clock: Clock) -> Callable[..., Budget]:
    def make(run: str = "run-1", wait_s: float = 0.05) -> Budget:
        return Budget(Allowance(tmp_path / "tmp" / "b.json", clock, run), clock, grant_wait_s=wait_s)

    return make


async def test_windows_begin_anew_each_in_its_time(start: Callable[..., Budget], clock: Clock) -> None:
    budget = start()
    await spend(budget, LOCAL, 900)
    clock.now += 3600
    await spend(budget, LOCAL, 100)
    assert spent(budget, LOCAL) == {HOUR: 100, "usdPerDay": 0, "tokensPerRun": 1000}
    await budget.close()
    assert spent(start(), LOCAL)["tokensPerRun"] == 1000
    assert spent(start("run-2"), LOCAL) == {HOUR: 100, "usdPerDay": 0, "tokensPerRun": 0}


async def test_a_gateway_that_is_killed_counts_what_was_on_its_way(start: Callable[..., Budget]) -> None:
    killed = start()
    async with killed.admit(LOCAL, 400, 0):
        again = start()
        assert 400 <= spent(again, LOCAL)[HOUR] <= 400 + 1000 // 64


async def test_a_damaged_file_starts_anew_and_says_so(
    start: Callable[..., Budget], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "b.json").write_text("{broken")
    assert spent(start(), LOCAL)[HOUR] == 0
    assert "cannot be read" in caplog.text


async def test_nothing_is_spent_before_something_is_granted(start: Callable[..., Budget]) -> None:
    budget = start()
    with pytest.raises(BudgetUnavailableError, match="the operator, which was never heard of, has granted no more"):
        await spend(budget, GRANTED, 1)
    receipt = await budget.obey(order(1, 100))
    assert [(each.cap, each.spent, each.wanted) for each in receipt.standings] == [(100, 0, 1)]
    await spend(budget, GRANTED, 100)
    with pytest.raises(BudgetUnavailableError, match="was heard of 0 s ago"):
        await spend(budget, GRANTED, 1)


async def test_a_request_waits_for_a_larger_slice_and_asks_for_it(start: Callable[..., Budget]) -> None:
    budget = start(wait_s=30)
    await budget.obey(order(1, 100))
    waiting = asyncio.create_task(spend(budget, GRANTED, 300))
    await asyncio.sleep(0)
    assert (await budget.obey(order(1, 100))).standings[0].wanted == 300
    await budget.obey(order(2, 300))
    async with asyncio.timeout(10):
        await waiting
    assert spent(budget, GRANTED)[HOUR] == 300


async def test_the_end_of_a_budget_is_told_at_once_with_the_time_of_the_next(start: Callable[..., Budget]) -> None:
    budget = start(wait_s=600)
    await budget.obey(order(1, 1000, exhausted=True))
    await spend(budget, GRANTED, 1000)
    with pytest.raises(OverBudgetError, match="budget of 1000 tokens per hour is spent") as refused:
        await spend(budget, GRANTED, 1)
    assert refused.value.code == "budget_exceeded"
    assert 0 < (refused.value.retry_after_s or 0) <= 3600


async def test_one_request_alone_may_go_over_where_the_order_says_so(start: Callable[..., Budget]) -> None:
    budget = start()
    await budget.obey(order(1, 10, overrun=True))
    async with budget.admit(GRANTED, 5000, 0) as first:
        with pytest.raises(BudgetUnavailableError):
            await spend(budget, GRANTED, 5000)
        first.charge(5000, 0)
    with pytest.raises(BudgetUnavailableError):
        await spend(budget, GRANTED, 1)


@pytest.mark.parametrize("serial, cap", [(1, 900), (2, 900), (0, 900)])
async def test_an_order_that_was_seen_or_passed_changes_nothing(
    start: Callable[..., Budget], serial: int, cap: int
) -> None:
    budget = start()
    await budget.obey(order(2, 100))
    receipt = await budget.obey(order(serial, cap))
    assert (receipt.serial, receipt.standings[0].cap) == (2, 100)
    again = await start().obey(order(serial, cap))
    assert (again.serial, again.standings[0].cap) == (2, 100)


async def test_what_is_left_is_carried_over_while_the_operator_was_there(
    start: Callable[..., Budget], clock: Clock
) -> None:
    budget = start()
    await budget.obey(order(1, 500))
    await spend(budget, GRANTED, 200)
    clock.now += 3000
    await budget.obey(order(1, 500, at=clock.now))
    clock.now += 1200
    await spend(budget, GRANTED, 300)
    with pytest.raises(BudgetUnavailableError):
        await spend(budget, GRANTED, 1)


async def test_nothing_is_carried_over_by_a_pod_that_was_cut_off(start: Callable[..., Budget], clock: Clock) -> None:
    budget = start()
    await budget.obey(order(1, 500))
    clock.now += 3 * 3600
    with pytest.raises(BudgetUnavailableError):
        await spend(budget, GRANTED, 1)


@pytest.mark.parametrize("minute", [0, 20, 59])
async def test_an_agent_goes_on_for_an_hour_without_an_operator_and_then_says_why_not(
    start: Callable[..., Budget], clock: Clock, minute: int
) -> None:
    """A request a minute through the end of the hour and restarts, of a slice that lasts for 50."""
    clock.now += minute * 60
    budget = start()
    await budget.obey(order(7, 500, at=clock.now, overrun=True))
    began, served, refusals = clock.now, 0, []
    for request in range(60):
        clock.now = began + request * 60
        if request % 13 == 0:
            budget = start()
        try:
            await spend(budget, GRANTED, 10)
            served += 1
        except BudgetUnavailableError as refused:
            refusals.append((request, str(refused)))
    assert 45 <= served <= 50  # what a killed gateway has written beforehand counts as spent
    assert [request for request, _ in refusals] == list(range(served, 60))
    for request, words in refusals:
        assert f"the operator, which was heard of {request * 60} s ago, has granted no more" in words
    receipt = await budget.obey(order(8, 2000, at=clock.now))
    assert receipt.standings[0].cap == 2000
    await spend(budget, GRANTED, 10)


@pytest.mark.parametrize("limits", [LOCAL, GRANTED], ids=["own", "granted"])
async def test_what_is_spent_in_a_new_window_is_remembered_by_a_gateway_that_is_killed(
    start: Callable[..., Budget], clock: Clock, limits: GatewayBudget
) -> None:
    budget = start()
    if limits.granted:
        await budget.obey(order(1, 1000))
    await spend(budget, limits, 600)
    clock.now += 3600
    await spend(budget, limits, 300)
    again = start()
    assert 300 <= spent(again, limits)[HOUR] <= 300 + 1000 // 64
    await spend(again, limits, 80)
    assert 380 <= spent(start(), limits)[HOUR] <= 380 + 1000 // 32


async def test_what_ends_while_an_order_is_written_down_is_in_its_receipt(start: Callable[..., Budget]) -> None:
    budget = start()
    await budget.obey(order(1, 500))
    async with budget.admit(GRANTED, 100, 0) as reservation:
        writing = asyncio.create_task(budget.obey(order(2, 600)))
        await asyncio.sleep(0)
        reservation.charge(70, 0)
    [standing] = (await writing).standings
    assert (standing.spent, standing.reserved) == (70, 0)


async def test_a_gateway_that_ends_gives_back_also_when_it_begins_again(start: Callable[..., Budget]) -> None:
    budget = start()
    await budget.obey(order(4, 500))
    await spend(budget, GRANTED, 200)
    last = await budget.close()
    assert last is not None
    assert [(each.cap, each.spent) for each in last.standings] == [(200, 200)]
    again = start()
    await again.obey(order(4, 500))
    with pytest.raises(BudgetUnavailableError):
        await spend(again, GRANTED, 1)


async def test_what_cannot_be_written_down_is_not_spent(start: Callable[..., Budget], tmp_path: Path) -> None:
    budget = start()
    await budget.obey(order(1, 500))
    (tmp_path / "tmp" / "b.json").unlink()
    (tmp_path / "tmp").rmdir()
    (tmp_path / "tmp").write_text("no folder")
    with pytest.raises(BudgetUnavailableError, match="cannot be written down"):
        await spend(budget, GRANTED, 300)
    assert spent(budget, GRANTED)[HOUR] == 0
    with pytest.raises(OSError, match="File exists"):
        await budget.obey(order(2, 900))
