import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import StringIO

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from agent_base.redaction import MASK, Redactor
from agent_kit.errors import SettingsError
from agent_kit.logs import LogSettings, configure
from agent_kit.telemetry import SilentTelemetry, Telemetry
from agent_kit.tracing import start_telemetry

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@dataclass
class Collector:
    """An OTLP/HTTP receiver that keeps what it gets."""

    url: str = ""
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def spans(self) -> dict[str, Span]:
        return {
            span.name: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    async def receive(self, request: web.Request) -> web.Response:
        self.requests.append(ExportTraceServiceRequest.FromString(await request.read()))
        await self.hold.wait()
        return web.Response(body=b"", content_type="application/x-protobuf")


@asynccontextmanager
async def collecting(*, answers: bool = True) -> AsyncIterator[Collector]:
    collector = Collector()
    if answers:
        collector.hold.set()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        collector.hold.set()
        await runner.cleanup()


def attributes_of(span: Span) -> dict[str, object]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes}


async def test_spans_arrive_with_their_attributes_and_family() -> None:
    async with (
        collecting() as collector,
        start_telemetry(collector.url + "/", service="agent-x", attributes={"agent": "a1"}) as telemetry,
    ):
        assert telemetry.enabled
        with telemetry.span("outer", kind="server", attributes={"n": 1, "ok": True}) as outer:
            outer.set("late", 0.5)
            with telemetry.span("inner", kind="client") as inner:
                inner.event("failover", {"to": "backup"})
    outer_span, inner_span = collector.spans["outer"], collector.spans["inner"]
    assert attributes_of(outer_span) == {"n": 1, "ok": True, "late": 0.5}
    assert inner_span.parent_span_id == outer_span.span_id
    assert inner_span.trace_id == outer_span.trace_id
    assert (outer_span.kind, inner_span.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert [event.name for event in inner_span.events] == ["failover"]
    resource = collector.requests[0].resource_spans[0].resource
    assert {"service.name": "agent-x", "agent": "a1"}.items() <= {
        each.key: each.value.string_value for each in resource.attributes
    }.items()


async def test_the_context_comes_in_and_goes_out_by_headers() -> None:
    async with collecting() as collector, start_telemetry(collector.url, service="x") as telemetry:
        parent = telemetry.extract({"Traceparent": PARENT, "TraceState": "a=b", "X": "y"})
        headers: dict[str, str] = {}
        with telemetry.span("work", parent=parent):
            telemetry.inject(headers)
        passed: dict[str, str] = {}
        telemetry.inject(passed, parent)
    span = collector.spans["work"]
    assert span.trace_id.hex() == TRACE
    assert headers == {"traceparent": f"00-{TRACE}-{span.span_id.hex()}-01", "tracestate": "a=b"}
    assert passed == {"traceparent": PARENT, "tracestate": "a=b"}


async def test_no_secret_gets_into_a_span() -> None:
    redactor = Redactor()
    redactor.add("c4nary")
    async with (
        collecting() as collector,
        start_telemetry(collector.url, service="x", redact=redactor.redact) as telemetry,
    ):
        with pytest.raises(ValueError, match="c4nary"), telemetry.span("raises", attributes={"k": "c4nary"}):
            raise ValueError("c4nary")
        with telemetry.span("fails") as span:
            span.event("e", {"key": "c4nary"})
            span.fail("refused c4nary")
    assert b"c4nary" not in b"".join(request.SerializeToString() for request in collector.requests)
    raised, failed = collector.spans["raises"], collector.spans["fails"]
    assert attributes_of(raised) == {"k": MASK, "error.type": "ValueError"}
    assert raised.status.message == "ValueError"
    assert failed.status.message == f"refused {MASK}"


async def test_records_inside_a_span_carry_its_ids(root_logger: logging.Logger) -> None:
    stream = StringIO()
    configure(LogSettings(format="json"), Redactor(), stream=stream)
    async with collecting() as collector, start_telemetry(collector.url, service="x") as telemetry:
        with telemetry.span("work"):
            logging.getLogger("test").info("inside")
    line = json.loads(stream.getvalue().splitlines()[0])
    span = collector.spans["work"]
    assert (line["trace_id"], line["span_id"]) == (span.trace_id.hex(), span.span_id.hex())


async def test_a_collector_that_never_answers_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async with (
        asyncio.timeout(30),
        collecting(answers=False) as collector,
        start_telemetry(collector.url, service="x", flush_s=0.2) as telemetry,
    ):
        with telemetry.span("lost"):
            pass
    assert "the last spans were not sent within 0.2 s and are lost" in caplog.text


async def test_a_collector_that_is_not_there_does_no_harm_and_is_not_tried_for_ever() -> None:
    before = set(threading.enumerate())
    async with asyncio.timeout(30):
        async with start_telemetry("http://127.0.0.1:1", service="x", flush_s=0.2) as telemetry:
            with telemetry.span("lost"):
                pass
        for thread in {t for t in threading.enumerate() if not t.name.startswith("asyncio")} - before:
            await asyncio.to_thread(thread.join, 3)
            assert not thread.is_alive(), thread.name


@pytest.mark.parametrize("endpoint", ["collector:4317", "grpc://collector:4317", "http://"])
async def test_an_endpoint_that_is_no_url_is_a_settings_error(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=f"OTEL_EXPORTER_OTLP_ENDPOINT='{endpoint}' is not an http"):
        async with start_telemetry(endpoint, service="x"):
            pass


@pytest.mark.parametrize("endpoint", [None, ""])
async def test_without_an_endpoint_tracing_is_off_and_passes_the_context_on(endpoint: str | None) -> None:
    async with start_telemetry(endpoint, service="x") as telemetry:
        assert isinstance(telemetry, SilentTelemetry)
        headers = {"accept": "x"}
        parent = telemetry.extract({"traceparent": PARENT})
        with telemetry.span("nothing", kind="server", parent=parent, attributes={"a": 1}) as span:
            span.set("a", 1)
            span.event("b")
            span.fail("c")
            telemetry.inject(headers, parent)
    assert headers == {"accept": "x", "traceparent": PARENT}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "garbage",
        PARENT.upper(),
        f"ff{PARENT[2:]}",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
    ],
)
def test_a_malformed_parent_is_left_out(value: str) -> None:
    assert Telemetry.extract({"traceparent": value, "tracestate": "a=b"}) == {}


def test_an_oversized_state_is_left_out() -> None:
    assert Telemetry.extract({"traceparent": PARENT, "tracestate": "a" * 513}) == {"traceparent": PARENT}


def test_the_sdk_is_not_imported_as_long_as_tracing_is_off() -> None:
    program = (
        "import asyncio, sys, agent_kit.service, agent_kit.ops, agent_kit.files\n"
        "from agent_kit.tracing import start_telemetry\n"
        "async def main():\n"
        "    async with start_telemetry(None, service='x'): pass\n"
        "asyncio.run(main())\n"
        "sys.exit('opentelemetry' in sys.modules or 'requests' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
