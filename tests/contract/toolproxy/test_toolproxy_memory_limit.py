"""Everything that foreign parties may fill is filled at once, in a memory cgroup with the limit of the container."""

import asyncio
import json
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from contract.toolproxy.artifact_server import ArtifactServer
from contract.toolproxy.toolproxy_harness import ToolProxy

LIMIT_BYTES = 1 << 30
"""Of the container, in every profile of the platform's defaults."""
OWN_BYTES = 320 << 20
"""Of the proxy itself: what the renderer keeps for it, and the pages of its programs, which the kernel can let go."""
CALLS = 2
"""Of each tool at a time. `AGENTBERTH_WHOLE=1` makes as many as the proxy lets a server have."""
LARGE = (8 << 20) - 1000
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")

STDIO = """#!/usr/bin/env python3
import json, sys
LARGE = int(sys.argv[1])
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    sys.stderr.write("e" * 100_000 + "\\n")
    method = message["method"]
    if method == "initialize":
        info = {"name": "s", "version": "1"}
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": [{"name": "large", "inputSchema": {"type": "object"}}]}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "\\N{GRINNING FACE}" + "x" * LARGE}]}
    else:
        result = None
    body = {"result": result} if result else {"error": {"code": -32601, "message": "no"}}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}, ensure_ascii=False) + "\\n")
    sys.stdout.flush()
"""


class Flood:
    """An MCP server whose answers are as large as may be: one body, or one event of a stream."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

            def do_GET(self) -> None:
                self._send(405, b"", "text/plain")

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                message = {"jsonrpc": "2.0", "id": body.get("id"), **_answer(body)}
                content = json.dumps(message, ensure_ascii=False).encode()
                if body.get("params", {}).get("name") == "event":
                    self._send(200, b"data: " + content + b"\n\n", "text/event-stream")
                else:
                    self._send(200 if "id" in body else 202, content if "id" in body else b"", "application/json")

            def _send(self, status: int, content: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/mcp"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answer(body: dict[str, Any]) -> dict[str, Any]:
    method = body["method"]
    if method == "initialize":
        info = {"name": "f", "version": "1"}
        return {"result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}}
    if method == "tools/list":
        text = "d" * 120_000
        names = ["body", "event", "values", *(f"t{number}" for number in range(60))]
        return {
            "result": {"tools": [{"name": n, "description": text, "inputSchema": {"type": "object"}} for n in names]}
        }
    if method != "tools/call":
        return {"error": {"code": -32601, "message": "no"}}
    if body["params"]["name"] == "values":
        return {"result": {"content": [], "structuredContent": {"v": [[] for _ in range(190_000)]}}}
    return {"result": {"content": [{"type": "text", "text": "\N{GRINNING FACE}" + "x" * LARGE}]}}


class Cgroup:
    """A memory cgroup of a container."""

    def __init__(self, folder: Path, *, v1: bool) -> None:
        self._folder, self._v1 = folder, v1

    @classmethod
    def make(cls) -> "Cgroup | None":
        """None where this machine lets nobody make one."""
        v1 = V1.is_dir()
        folder = (V1 if v1 else V2) / f"agentberth-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir()
            limit = folder / ("memory.limit_in_bytes" if v1 else "memory.max")
            limit.write_text(str(LIMIT_BYTES))
        except OSError:
            return None
        return cls(folder, v1=v1)

    def add(self, pid: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def kills(self) -> int:
        lines = (self._folder / ("memory.oom_control" if self._v1 else "memory.events")).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    @property
    def peak_bytes(self) -> int:
        return int((self._folder / ("memory.max_usage_in_bytes" if self._v1 else "memory.peak")).read_text())

    def remove(self) -> None:
        self._folder.rmdir()


@pytest.fixture
def cgroup() -> Iterator[Cgroup | None]:
    made = Cgroup.make()
    yield made
    if made is not None:
        made.remove()


def peak_of(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


async def fill(proxy: ToolProxy, calls: int) -> list[int]:
    """Call everything at once; the statuses, or 0 where the connection ended."""
    names = ["flood__body", "flood__event", "flood__values", "second__body", "lines__large", "printer"]

    async def call(client: httpx.AsyncClient, name: str) -> int:
        arguments: dict[str, list[str]] = {"args": []} if name == "printer" else {}
        try:
            answer = await client.post(f"{proxy.url}/v1/tools/{name}:run", json={"arguments": arguments})
        except httpx.HTTPError:
            return 0
        return answer.status_code

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(timeout=120, limits=limits) as client:
        return await asyncio.gather(*(call(client, name) for _ in range(calls) for name in names))


def stalled_readers(proxy: ToolProxy, count: int) -> list[socket.socket]:
    """Callers that ask for large answers and do not read them."""
    body = json.dumps({"arguments": {}}).encode()
    host = proxy.url.removeprefix("http://")
    head = f"POST /v1/tools/flood__body:run HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    opened = []
    for _ in range(count):
        made = socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2])))
        made.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        opened.append(made)
    return opened


@pytest.mark.timeout(300)
def test_everything_that_can_be_filled_fits_into_the_container(tmp_path: Path, cgroup: Cgroup | None) -> None:
    calls = 64 if os.environ.get("AGENTBERTH_WHOLE") else CALLS
    with (
        Flood() as flood,
        Flood() as second,
        ArtifactServer() as artifacts,
        closing(ToolProxy(tmp_path / "pod")) as proxy,
    ):
        proxy.add_program("lines", STDIO)
        proxy.add_program("printer", "#!/bin/sh\nyes x | head -c 4000000; yes e | head -c 4000000 >&2\n")
        artifacts.add("/bomb", b"\x1f\x8b\x08\x00" + b"\0" * (8 << 20))
        sources = {
            "flood": f"mcp+{flood.url}",
            "second": f"mcp+{second.url}",
            "lines": "mcp+stdio:path:lines",
            "printer": "path:printer",
            "bomb": artifacts.url("/bomb"),
        }
        planned: dict[str, dict[str, Any]] = {name: {"name": name, "source": each} for name, each in sources.items()}
        planned["lines"]["arguments"] = [str(LARGE)]
        tools = [{"name": name, "custom": each, "required": name != "bomb"} for name, each in planned.items()]
        proxy.write_config(tools=tools, limits={"timeoutSeconds": 60})
        proxy.start()
        if cgroup is not None:
            cgroup.add(proxy.pid)
        stalled = stalled_readers(proxy, 1)
        statuses = asyncio.run(fill(proxy, calls))
        assert httpx.get(f"{proxy.ops_url}/livez", timeout=30).status_code == 200
        own = peak_of(proxy.pid)
        for each in stalled:
            each.close()
        assert set(statuses) == {200}
        assert own < OWN_BYTES
    if cgroup is not None:
        assert cgroup.kills == 0
        assert cgroup.peak_bytes < LIMIT_BYTES
