"""Prometheus metrics. Names of OpenTelemetry's GenAI conventions where it has them, in Prometheus' spelling."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_llmgateway.attempts import AttemptRecord
from agent_llmgateway.breaker import BreakerBoard
from agent_llmgateway.usage import Usage

_DURATION_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
_OVERHEAD_S: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_BREAKER_VALUE: Final = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
MOST_MODELS: Final = 200
"""A model's name can come from the agent: beyond so many they are one, called `other`."""


class _BreakerCollector(Collector):
    """Breakers as they are when somebody looks: an open one closes by the clock, without an event."""

    def __init__(self, board: BreakerBoard) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """One gauge: 0 closed, 0.5 half-open, 1 open."""
        family = GaugeMetricFamily(
            "agentberth_llmgateway_breaker_open",
            "1 while a route is left alone, 0.5 while it is probed.",
            labels=("provider", "model", "key"),
        )
        for key in self._board.known():
            family.add_metric((key.provider, key.model, key.key), _BREAKER_VALUE[self._board.state(key)])
        yield family


class Metrics:
    """The counters of the process."""

    def __init__(self, registry: CollectorRegistry, board: BreakerBoard) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"agentberth_llmgateway_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=buckets, registry=registry)

        self.requests = counter("requests", "Requests by dialect and status sent to the client.", "dialect", "status")
        self.attempts = counter("attempts", "Tries by provider, model and outcome.", "provider", "model", "outcome")
        self.failovers = counter("failovers", "Requests that went on from a provider to another.", "provider")
        self.broken = counter("broken_streams", "Streams that ended with an error event.", "provider", "cause")
        self.malformed = counter("malformed_events", "Events of streams that were left out.", "provider")
        self.unknown_usage = counter("unknown_usage", "Answers without usage.", "provider")
        self.gone = counter("clients_gone", "Requests whose client went away.")
        self.cached = counter("cache", "Requests answered without a provider.", "how")
        registry.register(_BreakerCollector(board))
        self.overhead = histogram(
            "agentberth_llmgateway_overhead_seconds", "Time to the first byte that no provider took.", _OVERHEAD_S
        )
        labels = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
        self._duration = histogram(
            "gen_ai_client_operation_duration_seconds", "Whole requests.", _DURATION_S, *labels, "error_type"
        )
        self._first_chunk = histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "Streams to their first output.",
            _DURATION_S,
            *labels,
        )
        self._tokens = histogram(
            "gen_ai_client_token_usage", "Tokens as providers counted them.", _TOKENS, *labels, "gen_ai_token_type"
        )
        self._models: set[str] = set()

    def model_label(self, model: str) -> str:
        """`model`, or `other` when there are too many."""
        if model in self._models or len(self._models) < MOST_MODELS:
            self._models.add(model)
            return model
        return "other"

    def note_attempt(self, record: AttemptRecord) -> None:
        """One try."""
        self.attempts.labels(record.provider, self.model_label(record.model), record.outcome).inc()

    def note_end(self, operation: str, provider: str, model: str, duration_s: float, error: str) -> None:
        """The end of a request; `error` is empty for an answer."""
        self._duration.labels(operation, provider, self.model_label(model), error).observe(duration_s)

    def note_first_chunk(self, operation: str, provider: str, model: str, after_s: float) -> None:
        """The first output of a stream."""
        self._first_chunk.labels(operation, provider, self.model_label(model)).observe(after_s)

    def note_usage(self, operation: str, provider: str, model: str, usage: Usage | None) -> None:
        """Tokens of an answer."""
        if usage is None:
            self.unknown_usage.labels(provider).inc()
            return
        label = self.model_label(model)
        self._tokens.labels(operation, provider, label, "input").observe(usage.input_tokens)
        self._tokens.labels(operation, provider, label, "output").observe(usage.output_tokens)
