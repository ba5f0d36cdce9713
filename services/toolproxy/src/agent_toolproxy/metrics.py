"""What Prometheus is told. Labels are names of the configuration and of served tools, never a caller's input."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCIES_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ToolMetrics:
    """Metrics of calls, installs and definitions."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "agentberth_tool_calls",
            "Calls by outcome: ok, error, or the refusal's code.",
            ("tool", "outcome"),
            registry=registry,
        )
        self._latency = Histogram(
            "agentberth_tool_call_duration_seconds",
            "Time of calls.",
            ("tool",),
            buckets=_LATENCIES_S,
            registry=registry,
        )
        self._running = Gauge("agentberth_tool_calls_running", "Calls under way.", registry=registry)
        self._states = Gauge(
            "agentberth_tool_ready", "1 for a tool that is ready, else 0.", ("tool", "required"), registry=registry
        )
        self._drifts = Gauge(
            "agentberth_tool_drift", "1 for a tool that is blocked because it changed.", ("tool",), registry=registry
        )
        self._served = Gauge("agentberth_tools_served", "Tools that can be called.", registry=registry)

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._running.track_inprogress():
            yield

    def record(self, tool: str, outcome: str, seconds: float) -> None:
        """A call that ended."""
        self._calls.labels(tool, outcome).inc()
        self._latency.labels(tool).observe(seconds)

    def show_states(self, states: dict[tuple[str, bool], bool], drifts: set[str], served: int) -> None:
        """The configuration's tools (name, required) -> ready, the blocked ones, and how many are served."""
        self._states.clear()
        for (name, required), ready in states.items():
            self._states.labels(name, str(required).lower()).set(ready)
        self._drifts.clear()
        for name in drifts:
            self._drifts.labels(name).set(1)
        self._served.set(served)
