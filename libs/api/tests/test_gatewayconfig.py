import pytest

from agent_api.gatewayconfig import find_price
from agent_api.listprices import Price


@pytest.mark.parametrize("cached_usd, cost", [(None, 1000 * 3 + 100 * 15), (0.3, 600 * 3 + 120 + 1500), (0, 3300)])
def test_cached_tokens_are_a_part_of_the_input_with_a_price_of_their_own(cached_usd: float | None, cost: float) -> None:
    price = Price(input_usd=3, output_usd=15, cached_input_usd=cached_usd)

    assert price.cost_micro_usd(input_tokens=1000, cached_tokens=400, output_tokens=100) == cost


def test_the_price_of_a_providers_model_goes_before_that_of_the_model() -> None:
    cheap, dear = Price(input_usd=1, output_usd=1), Price(input_usd=2, output_usd=2)
    prices = {"m": cheap, "a/m": dear}

    assert (find_price(prices, "a", "m"), find_price(prices, "b", "m")) == (dear, cheap)
    assert find_price(prices, "a", "n") is None
