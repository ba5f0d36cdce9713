"""Gauges that are read from the running gateway when Prometheus looks: what is in flight, and what is spent."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_llmgateway.budget.ledger import MICRO
from agent_llmgateway.http.state import GatewayState


class LiveMetrics(Collector):
    """The gauges. The budget is as it was when a request or the report last asked for it."""

    def __init__(self, registry: CollectorRegistry, state: GatewayState) -> None:
        self._state = state
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """In flight always; a limit and its use only where there is one."""
        name, text = "agentberth_llmgateway_requests_in_flight", "Requests that are being answered."
        yield GaugeMetricFamily(name, text, value=self._state.in_flight)
        limit = GaugeMetricFamily(
            "agentberth_llmgateway_budget_limit", "What may be spent in a window.", labels=("budget",)
        )
        used = GaugeMetricFamily(
            "agentberth_llmgateway_budget_used", "What is spent in the present window.", labels=("budget",)
        )
        for budget, most, spent in self._budgets():
            limit.add_metric((budget,), most)
            used.add_metric((budget,), spent)
        yield limit
        yield used

    def _budgets(self) -> Iterator[tuple[str, float, float]]:
        provider_set = self._state.provider_set
        if provider_set is None:
            return
        limits, spent = provider_set.config.budget, self._state.budget.last_seen
        if limits.tokens_per_hour is not None:
            yield "tokens_per_hour", limits.tokens_per_hour, spent.tokens
        if limits.usd_per_day is not None:
            yield "usd_per_day", limits.usd_per_day, spent.micro_usd / MICRO
