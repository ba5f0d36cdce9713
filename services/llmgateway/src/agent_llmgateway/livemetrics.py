"""Gauges that are read from the running gateway when Prometheus looks: what is in flight, and what is spent."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_api.budget.limits import LIMITS
from agent_llmgateway.http.state import GatewayState


class LiveMetrics(Collector):
    """The gauges. A budget is what this gateway has spent of it, not the agent's other Pods."""

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
        for each in self._state.budget.state(provider_set.config.budget).limits:
            yield LIMITS[each.name].field, each.limit, each.spent
