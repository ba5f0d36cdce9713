"""MCP servers to put behind the proxy: by HTTP in this process, by stdio as a script. Both eras.

They are small but honest: they check what the specification tells a server to check, and remember every request.
"""

import contextlib
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

META = "io.modelcontextprotocol/"
ECHO: dict[str, Any] = {
    "name": "echo",
    "description": "Say it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string", "x-mcp-header": "Text"}}},
}
SLOW: dict[str, Any] = {"name": "slow", "description": "Take a while.", "inputSchema": {"type": "object"}}


@dataclass
class Behaviour:
    """What a server is and does; changed by tests while it runs."""

    era: str = "modern"
    tools: list[dict[str, Any]] = field(default_factory=lambda: [ECHO, SLOW])
    token: str = ""
    black_hole: bool = False
    page_size: int = 50
    calls: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    failure: dict[str, Any] | None = None
    changed: threading.Event = field(default_factory=threading.Event)
    sessions: set[str] = field(default_factory=set)
    deleted: list[dict[str, str]] = field(default_factory=list)
    """Headers of each DELETE."""
    lost_session: tuple[int, dict[str, Any] | None] = (404, None)
    """Status and JSON-RPC error for a session that is not known."""
    moved: bool = False
    """Whether the server is at /mcp/ and sends everybody there."""
    discover_status: int = 0
    lets_in: Callable[[str], bool] | None = None
    """Whether a request with this Authorization header is answered; the others get `challenge` with 401."""
    challenge: str = "Bearer"
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Metadata by path, for GET."""
    raw_answer: dict[str, Any] | None = None
    """Of a call, in an event stream that stays open: no message, maybe."""

    def discover(self) -> dict[str, Any]:
        capabilities = {"tools": {"listChanged": True}}
        return {"supportedVersions": ["2026-07-28"], "capabilities": capabilities, "ttlMs": 0, "cacheScope": "private"}

    def list_tools(self, params: dict[str, Any]) -> dict[str, Any]:
        start = int(params.get("cursor", 0))
        page: dict[str, Any] = {"tools": self.tools[start : start + self.page_size]}
        if start + self.page_size < len(self.tools):
            page["nextCursor"] = str(start + self.page_size)
        return page

    def call(self, params: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(params)
        arguments = params.get("arguments", {})
        if params["name"] == "slow":
            self.hold.wait(30)
        if arguments.get("ask") and "inputResponses" not in params:
            wanted = {
                "method": "elicitation/create",
                "params": {"mode": "form", "message": "Which?", "requestedSchema": {}},
            }
            return {"resultType": "input_required", "inputRequests": {"k": wanted}, "requestState": "state-1"}
        text = json.dumps(
            {"text": arguments.get("text"), "state": params.get("requestState"), "got": params.get("inputResponses")}
        )
        return {"content": [{"type": "text", "text": text}], "structuredContent": {"echo": arguments.get("text")}}


class UpstreamServer:
    """A server at `url`, which can be stopped and started again on the same port."""

    def __init__(self, *, address: str = "127.0.0.1", **behaviour: Any) -> None:
        self.behaviour = Behaviour(**behaviour)
        self._address = address
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{self._address}:{self._port}/mcp"

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"behaviour": self.behaviour})
        self._server = ThreadingHTTPServer((self._address, self._port), handler)
        self._server.daemon_threads = True
        self._port = int(self._server.server_address[1])
        self._connections: list[Any] = []
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for connection in _Handler.open_connections.pop(self._port, []):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.behaviour.hold.set()
        self.behaviour.sessions.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    behaviour: Behaviour
    open_connections: ClassVar[dict[int, list[Any]]] = {}

    def setup(self) -> None:
        super().setup()
        assert isinstance(self.server, ThreadingHTTPServer)
        self.open_connections.setdefault(self.server.server_port, []).append(self.connection)

    def do_GET(self) -> None:
        if self.path in self.behaviour.documents:
            self._send(200, self.behaviour.documents[self.path])
        else:
            self._empty(404 if self.path.startswith("/.well-known") else 405)

    def do_DELETE(self) -> None:
        self.behaviour.deleted.append(dict(self.headers.items()))
        self._empty(405)

    def do_POST(self) -> None:
        behaviour = self.behaviour
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        behaviour.requests.append(body)
        behaviour.headers.append(dict(self.headers.items()))
        if behaviour.black_hole:
            time.sleep(30)
        if behaviour.moved and self.path == "/mcp":
            self._send(307, {}, {"Location": "/mcp/"})
            return
        if behaviour.discover_status and body.get("method") == "server/discover":
            self._empty(behaviour.discover_status)
            return
        if behaviour.token and self.headers.get("Authorization") != f"Bearer {behaviour.token}":
            self._empty(401)
        elif behaviour.lets_in is not None and not behaviour.lets_in(self.headers.get("Authorization", "")):
            self._send(401, {}, {"WWW-Authenticate": behaviour.challenge})
        elif behaviour.era == "modern":
            self._modern(body)
        else:
            self._legacy(body)

    def _modern(self, body: dict[str, Any]) -> None:
        params = body.get("params", {})
        meta = params.get("_meta", {})
        if body["method"] == "initialize" or META + "protocolVersion" not in meta:
            self._error(body, 400, -32602, "_meta is missing")
        elif (
            self.headers.get("Mcp-Method") != body["method"] or self.headers.get("MCP-Protocol-Version") != "2026-07-28"
        ):
            self._error(body, 400, -32020, "headers")
        elif body["method"] == "server/discover":
            self._result(body, self.behaviour.discover())
        elif body["method"] == "tools/list":
            self._result(body, {**self.behaviour.list_tools(params), "ttlMs": 0, "cacheScope": "private"})
        elif body["method"] == "tools/call":
            self._call(body, params, meta)
        elif body["method"] == "subscriptions/listen":
            self._listen(body)
        else:
            self._error(body, 404, -32601, "Method not found")

    def _call(self, body: dict[str, Any], params: dict[str, Any], meta: dict[str, Any]) -> None:
        if self.headers.get("Mcp-Name") != params["name"]:
            self._error(body, 400, -32020, "name")
        elif self.behaviour.failure is not None:
            self._send(400, {"jsonrpc": "2.0", "id": body["id"], "error": self.behaviour.failure})
        elif "progressToken" in meta:
            self._begin_stream()
            for progress in (1, 2, 3):
                told = {"progressToken": meta["progressToken"], "progress": progress, "total": 3}
                self._event({"jsonrpc": "2.0", "method": "notifications/progress", "params": told})
                time.sleep(0.08)
            self._event(
                {
                    "jsonrpc": "2.0",
                    "id": body["id"],
                    "result": {"resultType": "complete", **self.behaviour.call(params)},
                }
            )
            self.close_connection = True
        else:
            self._result(body, self.behaviour.call(params))

    def _listen(self, body: dict[str, Any]) -> None:
        meta = {META + "subscriptionId": body["id"]}
        self._begin_stream()
        acknowledged = {"notifications": {"toolsListChanged": True}, "_meta": meta}
        self._event({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": acknowledged})
        while self.behaviour.changed.wait(30):
            self.behaviour.changed.clear()
            self._event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": meta}})

    def _legacy(self, body: dict[str, Any]) -> None:
        session = self.headers.get("Mcp-Session-Id")
        if body.get("method") == "initialize":
            session = f"s{len(self.behaviour.sessions)}-{time.monotonic_ns()}"
            self.behaviour.sessions.add(session)
            result = {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            }
            self._send(200, {"jsonrpc": "2.0", "id": body["id"], "result": result}, {"Mcp-Session-Id": session})
        elif session is None:
            self._error(body, 400, -32000, "Bad Request: no session")
        elif session not in self.behaviour.sessions:
            status, problem = self.behaviour.lost_session
            if problem is None:
                self._empty(status)
            else:
                self._send(status, {"jsonrpc": "2.0", **problem})
        elif "id" not in body:
            self._empty(202)
        elif body["method"] == "tools/call" and self.behaviour.raw_answer is not None:
            self._begin_stream()
            self._event({"id": body["id"], **self.behaviour.raw_answer})
            self.behaviour.hold.wait(60)
        elif body["method"] == "tools/list":
            self._result(body, self.behaviour.list_tools(body.get("params", {})), modern=False)
        elif body["method"] == "tools/call":
            self._result(body, self.behaviour.call(body["params"]), modern=False)
        else:
            self._error(body, 200, -32601, "Method not found")

    def _result(self, body: dict[str, Any], result: dict[str, Any], *, modern: bool = True) -> None:
        kind = {"resultType": "complete"} if modern else {}
        self._send(200, {"jsonrpc": "2.0", "id": body["id"], "result": {**kind, **result}})

    def _error(self, body: dict[str, Any], status: int, code: int, text: str) -> None:
        self._send(status, {"jsonrpc": "2.0", "id": body.get("id"), "error": {"code": code, "message": text}})

    def _send(self, status: int, message: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        content = json.dumps(message).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b": hello\r\nid: 0\r\ndata:\r\n\r\n")

    def _event(self, message: dict[str, Any]) -> None:
        self.wfile.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())
        self.wfile.flush()

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError, ValueError, OSError):
            self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (ConnectionError, ValueError, OSError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Quiet."""


STDIO_SERVER = f"#!{sys.executable}\n" + Path(__file__).with_name("stdio_server.py").read_text()
