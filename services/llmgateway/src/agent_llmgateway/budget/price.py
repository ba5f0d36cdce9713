"""Computes the price of a call, from the prices of the configuration and the usage of its answer."""

import math

from agent_api.gatewayconfig import GatewayConfig, Price, find_price
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.wire.usage import Usage


def price_of(config: GatewayConfig, route: Route) -> Price | None:
    """The price of a route's model, by provider/model or by model."""
    return find_price(config.prices, route.provider, route.model)


def cost_micro_usd(config: GatewayConfig, route: Route, usage: Usage) -> int | None:
    """Millionths of a dollar, rounded up; None without a price."""
    price = price_of(config, route)
    if price is None:
        return None
    cost = price.cost_micro_usd(
        input_tokens=usage.input_tokens, cached_tokens=usage.cached_tokens, output_tokens=usage.output_tokens
    )
    return math.ceil(cost)
