"""An OTLP/HTTP receiver that keeps what it was sent, as a backend of traces and logs would."""

import gzip
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import ResourceLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans


class Receiver:
    """What arrived, in its order, while `run_receiver` runs it."""

    def __init__(self) -> None:
        self.spans: list[ResourceSpans] = []
        self.logs: list[ResourceLogs] = []
        receive = self._receive

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                zipped = self.headers.get("content-encoding") == "gzip"
                known = receive(self.path, gzip.decompress(body) if zipped else body)
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _receive(self, path: str, body: bytes) -> bool:
        if path == "/v1/traces":
            self.spans.extend(ExportTraceServiceRequest.FromString(body).resource_spans)
        elif path == "/v1/logs":
            self.logs.extend(ExportLogsServiceRequest.FromString(body).resource_logs)
        else:
            return False
        return True


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """The attributes that are strings."""
    return {each.key: each.value.string_value for each in attributes if each.value.HasField("string_value")}


@contextmanager
def run_receiver() -> Iterator[Receiver]:
    """A receiver on a free port of the loopback interface."""
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()
