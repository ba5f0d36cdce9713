"""Counters as Prometheus reads them."""

from prometheus_client import CollectorRegistry, generate_latest

from agent_llmgateway.metrics.counters import CounterCollector, LabelledCounter, LabelledHistogram


def test_counters_are_what_prometheus_reads() -> None:
    requests = LabelledCounter("requests", "r", ("status",))
    times = LabelledHistogram("times_seconds", "t", (0.1, 1), ())
    registry = CollectorRegistry()
    registry.register(CounterCollector([requests, times, LabelledCounter("nothing", "n", ())]))
    requests.add(("200",), 2)
    for value in (0.05, 0.1, 0.5, 7):
        times.observe((), value)
    text = generate_latest(registry).decode()
    for line in (
        'requests_total{status="200"} 2.0',
        'times_seconds_bucket{le="0.1"} 2.0',
        'times_seconds_bucket{le="1.0"} 3.0',
        'times_seconds_bucket{le="+Inf"} 4.0',
        "times_seconds_count 4.0",
        "times_seconds_sum 7.65",
        "nothing_total 0.0",
    ):
        assert line in text
