"""What is noted of one request: in the metrics, the statistics of its providers, its span, the log and the budget."""

import logging
import time
from typing import Final

from agent_kit.telemetry import Span
from agent_llmgateway.budget.budget import Reservation
from agent_llmgateway.budget.metering import RequestBounds
from agent_llmgateway.budget.price import cost_micro_usd
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.failover.dependencies import RoutedAnswer
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.http.callrecord import CallRecord, content_text
from agent_llmgateway.http.spans import answer_attributes
from agent_llmgateway.http.state import GatewayState
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.tokencount import COUNTS
from agent_llmgateway.wire.transcript import Transcript
from agent_llmgateway.wire.usage import Usage

_log = logging.getLogger(__name__)
KEPT_BYTES: Final = 65_536
"""Of a prompt or an answer, before it is redacted and cut further."""
_KEPT_STREAM_BYTES: Final = 524_288
"""Of a stream, whose events take many times the bytes of their text."""
OPERATIONS: Final = {"embeddings": "embeddings", "count_tokens": "count_tokens", "input_tokens": "count_tokens"}


class RequestAccount:
    """The account of one call."""

    def __init__(self, state: GatewayState, provider_set: ProviderSet, call: Call, span: Span) -> None:
        self._state = state
        self._provider_set = provider_set
        self._call = call
        self._span = span
        self.operation = OPERATIONS.get(call.dialect.name, "chat")
        self.began = state.clock()
        self._tries: list[AttemptRecord] = []
        self._first_output_s: float | None = None
        self._settled: tuple[Route, Usage | None] | None = None
        self._broken = ""
        self._answer = b""
        self._transcript = (
            Transcript(call.dialect.name, _KEPT_STREAM_BYTES)
            if call.stream and provider_set.config.capture_content
            else None
        )

    def note_attempt(self, record: AttemptRecord, failure: Failure | None) -> None:
        """A try has an answer, or has failed."""
        state = self._state
        self._tries.append(record)
        state.metrics.note_attempt(record)
        state.provider_stats.note_attempt(record, failure)
        if failure is None and not state.telemetry.enabled:
            return
        event: dict[str, str | int | float] = {
            "provider": record.provider,
            "model": record.model,
            "outcome": record.outcome,
            "status": record.status,
            "duration_s": record.duration_s,
        }
        self._span.event("attempt", event)
        if failure is not None:
            message = state.redactor.redact(record.message)
            _log.warning("provider failed", extra={**event, "key": record.key, "reason": message})

    def note_first_output(self, routed: RoutedAnswer) -> None:
        """A stream has something to show."""
        route = routed.plan.route
        self._first_output_s = self._state.clock() - self.began
        self._state.metrics.note_first_chunk(self.operation, route.provider, route.model, self._first_output_s)

    def note_piece(self, piece: bytes) -> None:
        """The client is sent more of a stream."""
        if self._transcript is not None:
            self._transcript.feed(piece)

    def note_stream_end(self, routed: RoutedAnswer, failure: Failure | None) -> None:
        """A stream has ended, also because the client went away."""
        stream = routed.answer.stream
        if stream is None:
            return
        route = routed.plan.route
        if stream.malformed:
            self._state.metrics.note_malformed(route.provider, stream.malformed)
        if failure is not None:
            self._broken = f"{failure.cause}: {failure.message}"
            self._state.metrics.note_broken(route.provider, failure.cause)
            self._state.provider_stats.note_error(route.provider, failure)
            self._span.set("error.type", failure.cause)
            self._span.fail(failure.cause)
        if stream.states:
            self._state.failover.affinity.note(route.provider, stream.states, routed.breaker.mark)
        self.settle(routed, stream.usage)

    def charge(self, reservation: Reservation, bounds: RequestBounds) -> None:
        """Take what all tries have cost."""
        for charge in self._state.meter.charge(self._provider_set.config, bounds, self._call):
            reservation.charge(charge.usage.total_tokens, charge.micro_usd)

    def settle(self, routed: RoutedAnswer, usage: Usage | None) -> None:
        """An answer has been given."""
        state, route = self._state, routed.plan.route
        self._settled = (route, usage)
        if self._provider_set.config.capture_content:
            told = self._transcript.text() if self._transcript is not None else routed.answer.body or b""
            self._answer = told[:KEPT_BYTES]
        if self._call.dialect.name in COUNTS:
            return
        if len(routed.attempts) > 1:
            self._note_failovers(routed)
        state.metrics.note_usage(self.operation, route.provider, route.model, usage)
        if state.telemetry.enabled:
            self._describe(routed, usage)
        if usage is not None:
            state.provider_stats.note_usage(route.provider, usage)

    def note_end(self, route: Route, error: str) -> None:
        """The request is over; `error` names what the client was told instead of an answer."""
        duration_s = self._state.clock() - self.began
        self._state.metrics.note_end(self.operation, route.provider, route.model, duration_s, error)
        record = self._record(duration_s, error)
        self._state.calls.add(record)
        self._state.audit.add(record)

    def _record(self, duration_s: float, error: str) -> CallRecord:
        state, call, usage, micro_usd = self._state, self._call, None, None
        if self._settled is not None:
            route, usage = self._settled
            if usage is not None:
                micro_usd = cost_micro_usd(self._provider_set.config, route, usage)
        traced = state.telemetry.enabled
        return CallRecord(
            time.time() - duration_s,
            duration_s,
            self.operation,
            call.model,
            call.stream,
            self._tries,
            error,
            call.headers.get("traceparent") or state.run_parent.get("traceparent"),
            traced,
            self._first_output_s,
            usage,
            micro_usd,
            self._broken,
            (call.body[:KEPT_BYTES], self._answer) if self._provider_set.config.capture_content else None,
        )

    def _note_failovers(self, routed: RoutedAnswer) -> None:
        left = {record.provider for record in routed.attempts} - {routed.plan.route.provider}
        for provider in left:
            self._state.provider_stats.of(provider).failovers += 1
            self._state.metrics.note_failover(provider)
        if left:
            route = routed.plan.route
            extra = {"from": ", ".join(sorted(left)), "to": route.provider, "model": route.model}
            _log.warning("failed over", extra=extra)

    def _describe(self, routed: RoutedAnswer, usage: Usage | None) -> None:
        kind = self._provider_set.providers[routed.plan.route.provider].config.type
        for name, value in answer_attributes(kind, routed, usage, self._first_output_s).items():
            self._span.set(name, value)
        if self._answer:
            self._span.set("gen_ai.output.messages", content_text(self._state.redactor.redact, self._answer))
