"""Budgets: what they let through, and what they charge."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_api.gatewayconfig import GatewayBudget, GatewayConfig
from agent_api.listprices import Price
from agent_llmgateway.budget.allowance import Allowance
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.budget.price import cost_micro_usd
from agent_llmgateway.config.loaded import parse_config
from agent_llmgateway.errors import OverBudgetError
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.wire.usage import Usage

NOW = 1_800_000_000.0
CONFIG = """{"agent": "x", "budget": {"tokensPerHour": 100}, "providers": [{"name": "a", "type": "mock"}]}"""


def config_of(**fields: Any) -> bytes:
    provider = {"name": "a", "type": "mock"}
    return json.dumps({"agent": "x", "providers": [provider], **fields}).encode()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(100, 2000))
def test_a_budget_is_overshot_by_one_answer_at_most(costs: list[int], limit: int) -> None:
    config = GatewayConfig.model_validate_json(config_of(budget={"tokensPerHour": limit}))
    spent = 0
    waits: list[float] = []

    async def use(path: Path) -> None:
        nonlocal spent
        budget = Budget(Allowance(path, lambda: NOW), lambda: NOW)

        async def ask(cost: int) -> None:
            nonlocal spent
            try:
                async with budget.admit(config.budget, 4096, 0) as reservation:
                    await asyncio.sleep(0)
                    assert reservation is not None
                    reservation.charge(cost, 0)
                    spent += cost
            except OverBudgetError as refused:
                waits.append(refused.retry_after_s or 0.0)

        await asyncio.gather(*(ask(cost) for cost in costs))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(use(Path(folder, "budget.json")))
    assert spent < limit + 300
    assert spent == sum(costs) or spent >= limit
    assert all(0 < wait_s <= 3600 for wait_s in waits)


def test_prices_count_cached_input_apart() -> None:
    prices = {"m": Price(input_usd=3, output_usd=15, cached_input_usd=0.3), "a/n": Price(input_usd=1, output_usd=2)}
    config = GatewayConfig(agent="x", providers=parse_config(config_of()).config.providers, prices=prices)
    assert cost_micro_usd(config, Route("a", "m"), Usage(1000, 100, 400)) == 600 * 3 + 120 + 1500
    assert cost_micro_usd(config, Route("a", "n"), Usage(10, 10)) == 30
    assert cost_micro_usd(config, Route("b", "n"), Usage(10, 10)) is None
    assert config.budget == GatewayBudget()


async def test_an_answer_is_counted_when_its_client_goes_and_the_next_is_let_in(tmp_path: Path) -> None:
    config = GatewayConfig.model_validate_json(CONFIG)
    budget = Budget(Allowance(tmp_path / "budget.json", lambda: NOW), lambda: NOW)
    answered = asyncio.Event()

    async def ask(rest_s: float) -> None:
        async with budget.admit(config.budget, 4096, 0) as reservation:
            reservation.charge(7, 0)
            answered.set()
            await asyncio.sleep(rest_s)

    asking = asyncio.create_task(ask(600))
    await answered.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert budget.state(config.budget).tokens_this_hour == 7
    async with asyncio.timeout(5):
        await ask(0)
    assert budget.state(config.budget).tokens_this_hour == 14
