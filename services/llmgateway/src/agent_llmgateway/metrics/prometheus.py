"""Prometheus metrics. Names of OpenTelemetry's GenAI conventions where it has them, in Prometheus' spelling."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_llmgateway.failover.breaker import BreakerBoard
from agent_llmgateway.metrics.counters import CounterCollector, LabelledCounter, LabelledHistogram
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.wire.usage import Usage

_DURATION_S: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS: Final = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
_OVERHEAD_S: Final = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_BREAKER_VALUE: Final = {"closed": 0.0, "half-open": 0.5, "open": 1.0}
_GEN_AI: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
MOST_MODELS: Final = 200
"""A model's name can come from the agent: beyond so many they are one, called `other`."""


class _BreakerCollector(Collector):
    """Breakers as they are when somebody looks: an open one closes by the clock, without an event."""

    def __init__(self, board: BreakerBoard, label: Callable[[str], str]) -> None:
        self._board = board
        self._label = label

    def collect(self) -> Iterator[Metric]:
        """One gauge: 0 closed, 0.5 half-open, 1 open."""
        family = GaugeMetricFamily(
            "agentberth_llmgateway_breaker_open",
            "1 while a route is left alone, 0.5 while it is probed.",
            labels=("provider", "model", "key"),
        )
        worst: dict[tuple[str, str, str], float] = {}
        for key in self._board.newest():
            labels = (key.provider, self._label(key.model), key.key)
            worst[labels] = max(worst.get(labels, 0.0), _BREAKER_VALUE[self._board.state(key)])
        for labels, value in worst.items():
            family.add_metric(labels, value)
        yield family


class Metrics:
    """The counters of the process."""

    def __init__(self, registry: CollectorRegistry, board: BreakerBoard) -> None:
        self._all: list[LabelledCounter | LabelledHistogram] = []
        self._requests = self._counter("requests", "Requests by dialect and status sent.", "dialect", "status")
        self._attempts = self._counter("attempts", "Tries by outcome.", "provider", "model", "outcome")
        self._failovers = self._counter("failovers", "Requests that went on to another provider.", "provider")
        self._broken = self._counter("broken_streams", "Streams that ended with an error event.", "provider", "cause")
        self._malformed = self._counter("malformed_events", "Events of streams that were left out.", "provider")
        self._unknown_usage = self._counter("unknown_usage", "Answers without usage.", "provider")
        self._not_carried = self._counter(
            "not_carried", "Sampled requests that a provider answered and this one could not have.", "provider"
        )
        self._gone = self._counter("clients_gone", "Requests whose client went away.")
        self._overhead = self._histogram(
            "agentberth_llmgateway_overhead_seconds", "Time to the first byte that no provider took.", _OVERHEAD_S
        )
        self._duration = self._histogram(
            "gen_ai_client_operation_duration_seconds", "Whole requests.", _DURATION_S, *_GEN_AI, "error_type"
        )
        self._first_chunk = self._histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds", "Streams to their output.", _DURATION_S, *_GEN_AI
        )
        self._tokens = self._histogram(
            "gen_ai_client_token_usage", "Tokens as providers counted them.", _TOKENS, *_GEN_AI, "gen_ai_token_type"
        )
        self._models: set[str] = set()
        registry.register(CounterCollector(self._all))
        registry.register(_BreakerCollector(board, self._label))

    def note_request(self, dialect: str, status: int) -> None:
        """A status was sent to a client."""
        self._requests.add((dialect, str(status)))

    def note_attempt(self, record: AttemptRecord) -> None:
        self._attempts.add((record.provider, self._label(record.model), record.outcome))

    def note_failover(self, provider: str) -> None:
        """A request left `provider` and was answered elsewhere."""
        self._failovers.add((provider,))

    def note_broken(self, provider: str, cause: str) -> None:
        """A stream ended with an error event."""
        self._broken.add((provider, cause))

    def note_malformed(self, provider: str, events: int) -> None:
        """Events were left out."""
        self._malformed.add((provider,), events)

    def note_not_carried(self, provider: str) -> None:
        """A request that another provider has answered could not have been carried to `provider`."""
        self._not_carried.add((provider,))

    def note_gone(self) -> None:
        """A client went away."""
        self._gone.add(())

    def note_overhead(self, seconds: float) -> None:
        """Time to the first byte that no provider took."""
        self._overhead.observe((), seconds)

    def note_end(self, operation: str, provider: str, model: str, duration_s: float, error: str) -> None:
        """The end of a request; `error` is empty for an answer."""
        self._duration.observe((operation, provider, self._label(model), error), duration_s)

    def note_first_chunk(self, operation: str, provider: str, model: str, after_s: float) -> None:
        """The first output of a stream."""
        self._first_chunk.observe((operation, provider, self._label(model)), after_s)

    def note_usage(self, operation: str, provider: str, model: str, usage: Usage | None) -> None:
        """Tokens of an answer."""
        if usage is None:
            self._unknown_usage.add((provider,))
            return
        label = self._label(model)
        self._tokens.observe((operation, provider, label, "input"), usage.input_tokens)
        self._tokens.observe((operation, provider, label, "output"), usage.output_tokens)

    def _label(self, model: str) -> str:
        """`model`, or `other` when there are too many."""
        if model in self._models:
            return model
        if len(self._models) >= MOST_MODELS:
            return "other"
        self._models.add(model)
        return model

    def _counter(self, name: str, text: str, *labels: str) -> LabelledCounter:
        counter = LabelledCounter(f"agentberth_llmgateway_{name}", text, labels)
        self._all.append(counter)
        return counter

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> LabelledHistogram:
        histogram = LabelledHistogram(name, text, bounds, labels)
        self._all.append(histogram)
        return histogram
