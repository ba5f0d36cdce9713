"""Sidecars that come up while the workspace is prepared, awaited over real connections."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from contract.initenv.harness import Pod

from agent_api.initreport import InitFault, InitReport


class Sidecar(ThreadingHTTPServer):
    """Answers /readyz as our sidecars do; `reason` is why it is not ready."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.asked = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def word(self) -> str:
        return f"toolproxy=http://127.0.0.1:{self.server_port}/readyz"


class _Handler(BaseHTTPRequestHandler):
    server: Sidecar

    def do_GET(self) -> None:
        reason = self.server.reason if self.path == "/readyz" else "another path"
        self.send_response(503 if reason else 200)
        self.end_headers()
        self.wfile.write(f"[-] tools failed: {reason}\nreadyz check failed\n".encode() if reason else b"ok\n")
        self.server.asked.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


@contextmanager
def sidecar(reason: str = "") -> Iterator[Sidecar]:
    with Sidecar(reason) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_ready_sidecar_costs_nothing(pod: Pod) -> None:
    pod.plan()
    with sidecar() as server:
        outcome = pod.run("--await", server.word)
    outcome.prepared()
    assert outcome.stderr == ""


def test_a_sidecar_is_awaited_with_its_own_reason_and_only_after_all_is_prepared(pod: Pod) -> None:
    pod.plan(files=[{"path": "/shared/hello.txt", "content": "hello"}])
    with sidecar("installing jq") as server:
        running = pod.start("--await", server.word)
        assert server.asked.wait(20)
        assert (pod.shared / "hello.txt").read_text() == "hello"
        assert running.poll() is None
        server.reason = ""
        stdout, stderr = running.communicate(timeout=20)
    assert running.returncode == 0
    assert InitReport.model_validate_json(stdout).outcome == "succeeded"
    assert "initenv await    toolproxy is not ready yet: [-] tools failed: installing jq readyz check failed" in stderr


def test_a_sidecar_that_does_not_listen_yet_is_awaited(pod: Pod) -> None:
    pod.plan()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # taken, and refusing
        running = pod.start("--await", f"memory=tcp://127.0.0.1:{listener.getsockname()[1]}")
        assert running.stderr is not None
        assert (
            running.stderr.readline() == "initenv await    memory is not ready yet: no connection: Connection refused\n"
        )
        listener.listen()
        running.communicate(timeout=20)
    assert running.returncode == 0


def test_a_signal_ends_the_wait(pod: Pod) -> None:
    pod.plan()
    with sidecar("installing jq") as server:
        running = pod.start("--await", server.word)
        assert server.asked.wait(20)
        running.send_signal(signal.SIGTERM)
        stdout, stderr = running.communicate(timeout=20)
    report = InitReport.model_validate_json(stdout)
    assert running.returncode == 143
    assert report.error is not None
    assert report.error.fault == InitFault.INTERRUPTED
    assert "Traceback" not in stderr


def test_a_failed_preparation_waits_for_nobody(pod: Pod) -> None:
    pod.plan(glue={"runtime": "python", "source": "/shared/missing.py"})
    with sidecar("installing jq") as server:
        outcome = pod.run("--await", server.word)
    assert outcome.code == 1
    assert not server.asked.is_set()


def test_a_wrong_address_is_one_clear_error(pod: Pod) -> None:
    done = subprocess.run(
        pod.command("--await", "toolproxy"), env=pod.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--await toolproxy: write NAME=http://HOST:PORT/PATH or NAME=tcp://HOST:PORT." in done.stderr
