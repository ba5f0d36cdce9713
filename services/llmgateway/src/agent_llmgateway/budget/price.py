"""Computes the price of a call, from the prices of the configuration and the usage of its answer."""

from agent_api.gatewayconfig import GatewayConfig, Price
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.wire.usage import Usage


def price_of(config: GatewayConfig, route: Route) -> Price | None:
    """The price of a route's model, by provider/model or by model."""
    return config.prices.get(f"{route.provider}/{route.model}") or config.prices.get(route.model)


def cost_micro_usd(config: GatewayConfig, route: Route, usage: Usage) -> int | None:
    """Millionths of a dollar, rounded up; None without a price."""
    price = price_of(config, route)
    if price is None:
        return None
    cached_price = price.input_usd if price.cached_input_usd is None else price.cached_input_usd
    fresh = usage.input_tokens - usage.cached_tokens
    cost = fresh * price.input_usd + usage.cached_tokens * cached_price + usage.output_tokens * price.output_usd
    return -int(-cost // 1)
