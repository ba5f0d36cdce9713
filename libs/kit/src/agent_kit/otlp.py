"""Spans by the OpenTelemetry SDK to an OTLP/HTTP collector. Imported only when tracing is on.

The SDK's batches are sent from its own daemon thread, so a slow collector never holds up the event loop, and
the queue is bounded, so a dead one costs spans and not memory. Sampling and batching obey the standard
`OTEL_TRACES_SAMPLER*` and `OTEL_BSP_*` variables, which the SDK reads itself.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent_kit.logs import bind
from agent_kit.telemetry import AttributeValue, Span, SpanKind, Telemetry, TraceParent

_PATH: Final = "/v1/traces"
_log = logging.getLogger(__name__)


class _OtlpSpan:
    def __init__(self, span: trace.Span, redact: Callable[[str], str]) -> None:
        self._span = span
        self._redact = redact

    def set(self, key: str, value: AttributeValue) -> None:
        self._span.set_attribute(key, self._clean(value))

    def event(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        self._span.add_event(name, {key: self._clean(value) for key, value in (attributes or {}).items()})

    def fail(self, reason: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, self._redact(reason))

    def _clean(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, tuple):
            return tuple(map(self._redact, value))
        return self._redact(value) if isinstance(value, str) else value


class OtlpTelemetry(Telemetry):
    """Tracing that is on. A record that is logged inside a span carries its trace_id and span_id."""

    enabled = True

    def __init__(
        self, endpoint: str, *, service: str, attributes: Mapping[str, str], redact: Callable[[str], str]
    ) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)  # a dead collector: a line a batch, not a try
        base = endpoint.rstrip("/")
        self._exporter = OTLPSpanExporter(endpoint=base if base.endswith(_PATH) else base + _PATH)
        named = os.environ.get("OTEL_SERVICE_NAME") or service  # the SDK would let the attribute win
        resource = Resource.create({**attributes, "service.name": named})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("agent_kit")
        self._propagator = TraceContextTextMapPropagator()
        self._redact = redact

    @contextmanager
    def span(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: TraceParent | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> Iterator[Span]:
        """As `Telemetry.span`; also binds `trace_id` and `span_id` to the log."""
        context: Context | None = self._propagator.extract(parent) if parent else None
        with self._tracer.start_as_current_span(
            name,
            context,
            trace.SpanKind[kind.upper()],
            record_exception=False,
            set_status_on_exception=False,
        ) as raw:
            span = _OtlpSpan(raw, self._redact)
            for key, value in (attributes or {}).items():
                span.set(key, value)
            ids = raw.get_span_context()
            try:
                with bind(
                    trace_id=trace.format_trace_id(ids.trace_id),
                    span_id=trace.format_span_id(ids.span_id),
                ):
                    yield span
            except BaseException as error:
                span.set("error.type", type(error).__name__)
                span.fail(type(error).__name__)
                raise

    def inject(self, headers: MutableMapping[str, str], parent: TraceParent | None = None) -> None:
        """As `Telemetry.inject`."""
        if trace.get_current_span().get_span_context().is_valid:
            self._propagator.inject(headers)
        else:
            headers.update(parent or {})

    async def shut_down(self, deadline_s: float) -> None:
        """Send what is left, for at most `deadline_s`. Never raises and never waits longer.

        On a daemon thread: the SDK's own shutdown may wait 30 s for a dead collector, and neither the event
        loop nor the end of the process may wait for it.
        """
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def flush() -> None:
            try:
                self._provider.shutdown()
            except Exception:  # noqa: BLE001 - tracing never fails the service
                _log.warning("tracing did not end cleanly", exc_info=True)
            with suppress(RuntimeError):  # the loop is closed when the deadline came first
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=flush, name="flush spans", daemon=True).start()
        try:
            async with asyncio.timeout(deadline_s):
                await done.wait()
        except TimeoutError:
            # Else its thread tries again and again, for as long as the process lives.
            self._exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK's
            _log.warning("the last spans were not sent within %g s and are lost", deadline_s)
