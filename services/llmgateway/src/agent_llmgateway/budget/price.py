"""Computes the price of a call, from the prices of the configuration and the usage of its answer."""

import math
from typing import Final

from agent_api.gatewayconfig import GatewayConfig, find_price
from agent_api.listprices import Price
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.wire.usage import Usage


def price_of(config: GatewayConfig, route: Route) -> Price | None:
    """The price of a route's model, by provider/model or by model."""
    return find_price(config.prices, route.provider, route.model)


REGIONAL_FACTOR: Final = 1.1
"""Anthropic's "Pricing" page, read in November 2026: of all tokens with `inference_geo`."""


def cost_micro_usd(
    config: GatewayConfig, route: Route, usage: Usage, *, premium: bool = False, regional: bool = False
) -> int | None:
    """Millionths of a dollar, rounded up; None without a price.

    `premium`: a faster service was asked for; `regional`: an answer that is made in one part of the world.
    """
    price = price_of(config, route)
    if price is None:
        return None
    cost = price.cost_micro_usd(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        long_cache_write_tokens=usage.long_cache_write_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )
    cost *= price.premium_factor if premium else 1.0
    return math.ceil(cost * REGIONAL_FACTOR if regional else cost)
