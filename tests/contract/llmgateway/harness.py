"""The gateway and its mock provider as real processes, and small readers of what a client sees."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from agent_api.gatewayreport import GatewayReport

PROGRAM = str(Path(sys.executable).with_name("agent-llmgateway"))
START_S = 90.0
Document = dict[str, Any]
Dialect = Literal["chat", "messages", "responses", "embeddings"]
PATHS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """A program with its output in a file; ended by its own id."""

    def __init__(self, arguments: list[str], log: Path, environ: dict[str, str] | None = None) -> None:
        self.log_path = log
        self._log = log.open("ab")
        self.popen = subprocess.Popen(
            [PROGRAM, *arguments],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environ or {})},
        )

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def stop(self, *, within_s: float = 45.0) -> int:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise
        finally:
            self._log.close()

    def rss_mb(self) -> float:
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024

    def open_files(self) -> int:
        return sum(1 for _ in Path(f"/proc/{self.popen.pid}/fd").iterdir())


class Mock(Process):
    """The mock provider. `url` is the base of its OpenAI paths."""

    def __init__(self, folder: Path, script: Document | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        path = folder / f"script-{self.port}.yaml"
        path.write_text(json.dumps(script or {}))
        super().__init__(["mock", "--script", str(path), "--port", str(self.port)], folder / f"mock-{self.port}.log")
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._tests = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        wait_until(lambda: self._tests.get("/v1/models").status_code == 200)

    def set_script(self, script: Document) -> None:
        answer = self._tests.put("/_mock/script", json=script)
        assert answer.status_code == 200, answer.text

    def counts(self) -> dict[str, int]:
        counts: dict[str, int] = self._tests.get("/_mock/counts").json()
        return counts

    def journal(self, model: str | None = None) -> list[Document]:
        entries: list[Document] = self._tests.get("/_mock/journal", params={"model": model} if model else {}).json()
        return entries

    def clear(self) -> None:
        self._tests.delete("/_mock/journal")

    def stop(self, *, within_s: float = 45.0) -> int:
        self._tests.close()
        return super().stop(within_s=within_s)


class Gateway(Process):
    """The gateway, with its files in `folder`."""

    def __init__(
        self,
        folder: Path,
        config: Document | str,
        *,
        flags: list[str] | None = None,
        environ: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config_path = folder / "gateway.json"
        self.write_config(config)
        self.port, self.ops_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ops = httpx.Client(base_url=f"http://127.0.0.1:{self.ops_port}", timeout=30)
        arguments = ["--config", str(self.config_path), "--port", str(self.port), "--ops-host", "127.0.0.1"]
        arguments += ["--ops-port", str(self.ops_port), "--state", str(folder / "budget.json")]
        super().__init__([*arguments, *(flags or [])], folder / "gateway.log", environ)

    def wait_ready(self) -> Self:
        wait_until(
            lambda: self.popen.poll() is None and self.ops.get("/readyz").status_code == 200, why=lambda: self.log
        )
        wait_until(lambda: _listens(self.port))
        return self

    def write_config(self, config: Document | str) -> None:
        """A text is written as it is."""
        if not isinstance(config, str):
            config = json.dumps({"schemaVersion": 1, "agent": "test-agent", "namespace": "default", **config})
        draft = self.config_path.with_suffix(".draft")
        draft.write_text(config)
        draft.replace(self.config_path)

    def report(self) -> GatewayReport:
        return GatewayReport.model_validate_json(self.ops.get("/report").content)

    def metrics(self) -> dict[str, float]:
        lines = self.ops.get("/metrics").text.splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def stop(self, *, within_s: float = 45.0) -> int:
        self.ops.close()
        return super().stop(within_s=within_s)


@contextmanager
def run_gateway(folder: Path, config: Document, **more: Any) -> Iterator[Gateway]:
    gateway = Gateway(folder, config, **more)
    try:
        yield gateway.wait_ready()
    finally:
        gateway.stop()


@contextmanager
def run_mock(folder: Path, script: Document | None = None) -> Iterator[Mock]:
    mock = Mock(folder, script)
    try:
        yield mock
    finally:
        mock.stop()


def wait_until(holds: Any, *, within_s: float = START_S, why: Any = lambda: "") -> None:
    """Poll `holds`, which may fail to connect, until it is true."""
    ends_at = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        assert time.monotonic() < ends_at, f"not within {within_s} s: {why()}"
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def request_body(dialect: Dialect, model: str, *, stream: bool = False, prompt: str = "hello", **more: Any) -> Document:
    body: Document = {"model": model}
    if dialect == "responses":
        body["input"] = prompt
    elif dialect == "embeddings":
        body["input"] = [prompt]
    else:
        body["messages"] = [{"role": "user", "content": prompt}]
    if dialect == "messages":
        body["max_tokens"] = 64
    if stream:
        body["stream"] = True
    return {**body, **more}


class Seen:
    """What a client saw of an answer: status, text, and whether it was told that the answer is complete."""

    def __init__(self, dialect: Dialect, *, stream: bool) -> None:
        self.dialect = dialect
        self.stream = stream
        self.status = 0
        self.headers: httpx.Headers = httpx.Headers()
        self.body = b""
        self.cut = False
        self.text = ""
        self.complete = False
        self.errors: list[Document] = []
        self.events: list[Document] = []
        self.sentinels = 0
        self.unreadable = 0
        self.usage: Document | None = None

    def read(self) -> Self:
        if self.status != 200:
            self.errors.append(json.loads(self.body))
        elif self.stream:
            self._read_events()
        else:
            self._read_whole(json.loads(self.body))
        return self

    def _read_whole(self, document: Document) -> None:
        self.events.append(document)
        self.usage = document.get("usage")
        if self.dialect == "embeddings":
            self.complete = bool(document["data"])
        elif self.dialect == "chat":
            self.text = document["choices"][0]["message"]["content"] or ""
            self.complete = bool(document["choices"][0]["finish_reason"])
        elif self.dialect == "messages":
            self.text = "".join(block.get("text", "") for block in document["content"])
            self.complete = bool(document["stop_reason"])
        else:
            self.text = "".join(p["text"] for item in document["output"] for p in item.get("content", []))
            self.complete = document["status"] == "completed"

    def _read_events(self) -> None:
        for block in self.body.decode().split("\n\n"):
            data = "\n".join(line[6:] for line in block.splitlines() if line.startswith("data: "))
            if data == "[DONE]":
                self.sentinels += 1
            elif data:
                try:
                    event = json.loads(data)
                except ValueError:
                    self.unreadable += 1
                    continue
                self._read_event(event)

    def _read_event(self, event: Document) -> None:
        self.events.append(event)
        if event.get("error") or event.get("type") == "error":
            self.errors.append(event)
        elif self.dialect == "chat":
            for choice in event["choices"]:
                self.text += choice["delta"].get("content") or ""
                self.complete = self.complete or bool(choice["finish_reason"])
            self.usage = event.get("usage") or self.usage
        elif self.dialect == "messages":
            self.text += event.get("delta", {}).get("text", "")
            self.complete = self.complete or event["type"] == "message_stop"
            self.usage = event.get("usage") or self.usage
        else:
            self.text += event["delta"] if event["type"] == "response.output_text.delta" else ""
            self.complete = self.complete or event["type"] == "response.completed"


async def ask(
    client: httpx.AsyncClient, dialect: Dialect, body: Document, *, headers: dict[str, str] | None = None
) -> Seen:
    """Send `body` and read everything that comes, also what comes before a cut."""
    seen = Seen(dialect, stream=body.get("stream") is True)
    async with client.stream("POST", PATHS[dialect], json=body, headers=headers or {}) as response:
        seen.status, seen.headers = response.status_code, response.headers
        try:
            async for chunk in response.aiter_bytes():
                seen.body += chunk
        except httpx.RemoteProtocolError:
            seen.cut = True
    return seen.read()
