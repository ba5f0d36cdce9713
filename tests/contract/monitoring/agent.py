"""An agent that traces itself with the OpenTelemetry SDK alone: one question to a model, and three calls of tools."""

import json
import os
import sys
import urllib.request
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def post(url: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    sent = {"Content-Type": "application/json", "Accept": "*/*", **headers}
    request = urllib.request.Request(url, json.dumps(body).encode(), sent)  # noqa: S310 - our own servers
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
        found: dict[str, Any] = json.loads(answer.read())
        return found


def call(name: str, meta: dict[str, str]) -> dict[str, Any]:
    params = {"name": name, "arguments": {}, **({"_meta": meta} if meta else {})}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))  # where to: OTEL_EXPORTER_OTLP_ENDPOINT
    with provider.get_tracer("agent").start_as_current_span("the task") as span:
        headers: dict[str, str] = {}
        propagate.inject(headers)
        question = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        post(f"{os.environ['OPENAI_BASE_URL']}/chat/completions", question, headers)
        by_rest = post(f"{os.environ['TOOL_PROXY_URL']}/v1/tools/probe:run", {"arguments": {}}, headers)
        by_meta = post(os.environ["MCP_SERVER_URL"], call("up__echo", headers), {})
        by_header = post(os.environ["MCP_SERVER_URL"], call("probe", {}), headers)
        trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    provider.shutdown()
    json.dump({"trace": trace_id, "rest": by_rest, "meta": by_meta, "header": by_header}, sys.stdout)


main()
