"""Computes what a request reserves and is charged; learns which providers keep to the limit of an answer."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from agent_api.gatewayconfig import GatewayConfig
from agent_llmgateway.budget.metering import (
    LONGEST_OUTPUT_TOKENS,
    Charge,
    RequestBounds,
    bounds_of,
    charge_tries,
    cost_of,
)
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.usage import Usage

MOST_PROVIDERS: Final = 256
"""Of which it is remembered that they keep to limits."""


class Amount(NamedTuple):
    """Of tokens, and of money in millionths of a dollar."""

    tokens: int
    micro_usd: int


class Meter:
    """One for the process."""

    def __init__(self) -> None:
        self._keeping: set[str] = set()
        self._longest_over = 0

    def bounds(self, config: GatewayConfig, call: Call, routes: Sequence[Route]) -> RequestBounds:
        """What is known of a request before it is sent."""
        return bounds_of(call, config, routes)

    def reserve(self, config: GatewayConfig, bounds: RequestBounds, routes: Sequence[Route]) -> Amount:
        """The most that one answer of `routes` takes: a limit is believed of providers that have kept to one."""
        tokens = micro_usd = 0
        for route in routes:
            usage = Usage(bounds.most_reserved(route.model), self._most_output(bounds, route))
            tokens = max(tokens, usage.total_tokens)
            micro_usd = max(micro_usd, cost_of(config, bounds, route, usage))
        return Amount(tokens, micro_usd)

    def charge(self, config: GatewayConfig, bounds: RequestBounds, call: Call) -> list[Charge]:
        """What the tries of a request have cost."""
        charges = charge_tries(config, bounds, call.meter.tries, self._longest_over)
        for charge in charges:
            self._learn(bounds, charge)
        return charges

    def _most_output(self, bounds: RequestBounds, route: Route) -> int:
        longest = self._longest_over if route.provider in self._keeping else LONGEST_OUTPUT_TOKENS
        return bounds.most_output(longest, without_limit=LONGEST_OUTPUT_TOKENS)

    def _learn(self, bounds: RequestBounds, charge: Charge) -> None:
        if bounds.output_limit is None:
            return
        output = charge.usage.output_tokens // bounds.choices
        if output > bounds.output_limit:
            self._longest_over = max(self._longest_over, output)
        elif len(self._keeping) < MOST_PROVIDERS:
            self._keeping.add(charge.route.provider)
