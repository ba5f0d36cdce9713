"""Names for groups of the platform's metrics: what `spec.monitoring.metrics` may ask for.

A group is a few regular expressions over whole metric names, as Prometheus understands them. The operator writes them
into the agent's PodMonitor, so that what nobody asked for is dropped before it is stored.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

METRIC_GROUPS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "memory_usage": ("process_(resident|virtual)_memory_bytes", "agentberth_memory_.+"),
        "cpu_usage": ("process_cpu_seconds_total", "process_start_time_seconds"),
        "api_latency": (
            "gen_ai_client_operation_duration_seconds_.+",
            "gen_ai_client_operation_time_to_first_chunk_seconds_.+",
            "agentberth_llmgateway_overhead_seconds_.+",
        ),
        "api_requests": (
            "agentberth_llmgateway_(requests|attempts|broken_streams|malformed_events|clients_gone|not_carried)_total",
            "agentberth_llmgateway_requests_in_flight",
        ),
        "api_tokens": ("gen_ai_client_token_usage_.+", "agentberth_llmgateway_unknown_usage_total"),
        "api_budget": ("agentberth_llmgateway_budget_.+",),
        "api_failover": (
            "agentberth_llmgateway_(requests|failovers)_total",
            "agentberth_llmgateway_breaker_open",
        ),
        "tool_calls": ("agentberth_tool_calls_(total|running)", "agentberth_tool_call_duration_seconds_.+"),
        "tool_state": ("agentberth_tool_(ready|drift)", "agentberth_tools_served"),
    }
)
"""Regular expressions of a group by its name, each over a whole metric name."""

ALWAYS_KEPT: Final[tuple[str, ...]] = (
    *METRIC_GROUPS["api_failover"],
    *METRIC_GROUPS["api_budget"],
    *METRIC_GROUPS["tool_state"],
    "agentberth_memory_reachable",
)
"""What the platform's alerts look at: kept whatever is asked for, since an alert without its series never fires."""


def unknown_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Those of `names` that are no group."""
    return tuple(name for name in names if name not in METRIC_GROUPS)


def kept_metrics(names: Iterable[str]) -> tuple[str, ...]:
    """The expressions of the metrics to keep, each once; none for no names, which keeps all. Unknown names add none."""
    names = tuple(names)
    if not names:
        return ()
    asked = (pattern for name in names for pattern in METRIC_GROUPS.get(name, ()))
    return tuple(dict.fromkeys((*asked, *ALWAYS_KEPT)))
