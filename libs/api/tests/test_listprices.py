"""The table of list prices, and what a budget of money makes of it."""

from datetime import date
from typing import Any

import pytest

from agent_api.gatewayconfig import GatewayConfig, find_price
from agent_api.listprices import Price, list_prices


def config_of(**fields: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"agent": "x", "budget": {"usdPerDay": 5}, **fields})


def test_the_table_says_when_and_where_it_was_read() -> None:
    table = list_prices()
    assert date.fromisoformat(table.read) >= date(2026, 11, 1)
    assert all(source.startswith("https://") for source in table.sources)
    assert len(table.models) > 40


def test_every_row_is_a_price_that_can_be() -> None:
    for name, row in list_prices().models.items():
        price = row.price
        assert 0 < price.input_usd <= 200, name
        assert price.cached_input_usd is None or price.cached_input_usd <= price.input_usd, name
        assert price.cache_write_usd is None or price.cache_write_usd >= price.input_usd, name
        assert row.context_tokens is None or 4_000 < row.context_tokens <= 2_000_000, name


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-5-20250929", "gpt-5-2025-08-07", "claude-3-5-haiku-latest", "gpt-5"]
)
def test_a_dated_model_is_the_model(model: str) -> None:
    assert find_price({}, "any", model) is not None


def test_what_the_platform_says_goes_before_the_list() -> None:
    own = Price(input_usd=1, output_usd=2)
    assert find_price({"gpt-5": own}, "p", "gpt-5-2025-08-07") == own
    assert find_price({"p/gpt-5": own}, "p", "gpt-5") == own
    assert find_price({"p/gpt-5": own}, "q", "gpt-5") != own


def test_cache_writes_reasoning_and_length_have_their_prices() -> None:
    price = Price.model_validate(
        {
            "inputUsd": 10, "outputUsd": 50, "cachedInputUsd": 1, "cacheWriteUsd": 12.5, "longCacheWriteUsd": 20,
            "reasoningUsd": 60, "longContext": {"aboveTokens": 1000, "inputFactor": 2, "outputFactor": 1.5},
        }
    )  # fmt: skip
    counts = {"cached_tokens": 100, "cache_write_tokens": 300, "long_cache_write_tokens": 100, "reasoning_tokens": 5}
    asked, made = 600 * 10 + 100 * 1 + 200 * 12.5 + 100 * 20, 15 * 50 + 5 * 60
    assert price.cost_micro_usd(input_tokens=1000, output_tokens=20, **counts) == asked + made
    assert price.cost_micro_usd(input_tokens=1001, output_tokens=20, **counts) == (asked + 10) * 2 + made * 1.5


def test_a_budget_of_money_names_the_routes_without_a_price() -> None:
    providers = [
        {"name": "main", "type": "openai", "model": "gpt-5", "models": ["gpt-none"]},
        {"name": "local", "type": "openai-compatible", "baseUrl": "http://x", "model": "llama"},
        {"name": "script", "type": "mock"},
    ]
    aliases = [{"name": "a", "routes": [{"provider": "main", "model": "of-alias"}, {"provider": "local"}]}]
    config = config_of(providers=providers, models=aliases)
    assert config.unpriced() == ("local/llama", "main/gpt-none", "main/of-alias")
    prices = {"llama": {"inputUsd": 0, "outputUsd": 0}, "main/gpt-none": {"inputUsd": 1, "outputUsd": 1}}
    assert config_of(providers=providers, models=aliases, prices=prices).unpriced() == ("main/of-alias",)
    assert config_of(providers=providers, budget={"tokensPerHour": 5}).unpriced() == ()
