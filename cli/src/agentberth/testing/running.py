"""Runs a test case: the very `agentberth run --replay`, as a process, so that one case cannot disturb another."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from agentberth.testing.case import Case, HttpRequest

_LOOK_EVERY_S: Final = 0.1
_STOP_S: Final = 30.0
_MOST_OUTPUT_CHARS: Final = 4 << 20
_MOST_ANSWER_BYTES: Final = 1 << 20
_REQUEST_S: Final = 300.0


@dataclass
class HttpAnswer:
    """What an agent answered; `status` is 0 when it did not."""

    status: int
    text: str


@dataclass
class RunResult:
    """What a run came to. `report` is what the replay says of itself; empty when the run did not get that far."""

    exit_code: int
    stopped: bool
    output: str
    errors: str
    seconds: float
    timed_out: bool = False
    answers: list[HttpAnswer] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def run_case(case: Case, *, record: bool = False) -> RunResult:
    """Runs the case from its cassette; with `record` with the real models and tools, which makes the cassette anew."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentberth-test-") as folder:
        report = Path(folder, "report.json")
        process = subprocess.Popen(
            _command(case, report, record=record),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=case.file.parent,
            env={**os.environ, "NO_COLOR": "1"},
        )
        run = _Run(case, process, began + case.document.timeout_seconds)
        run.drive()
        return RunResult(
            exit_code=process.returncode,
            stopped=run.stopped,
            output=run.output.text,
            errors=run.errors.text,
            seconds=time.monotonic() - began,
            timed_out=run.timed_out,
            answers=run.answers,
            report=json.loads(report.read_bytes()) if report.is_file() else {},
        )


def _command(case: Case, report: Path, *, record: bool) -> list[str]:
    document = case.document
    tape = ["--record", str(case.cassette)] if record else _replay(case, report)
    workspace = ["--workspace", str(case.path(document.workspace))] if document.workspace else ["--clean"]
    settings = ["--settings", str(case.path(document.settings))] if document.settings else []
    command = ["--command", document.command] if document.command else []
    manifests = [str(case.path(each)) for each in (document.manifest, *document.more)]
    options = ["--quiet", *tape, *workspace, *settings, *command]
    return [sys.executable, "-m", "agentberth", "run", *options, *manifests, "--", *document.arguments]


def _replay(case: Case, report: Path) -> list[str]:
    live = [word for side in case.document.live for word in ("--live", side)]
    return ["--replay", str(case.cassette), "--replay-report", str(report), *live]


class _Text:
    """A stream of the process, read by a thread of its own; what is too long loses its middle."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._size = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            if self._size < _MOST_OUTPUT_CHARS:
                self._lines.append(line)
                self._size += len(line)

    def finish(self) -> None:
        self._thread.join(_STOP_S)

    @property
    def text(self) -> str:
        return "".join(tuple(self._lines))

    def has_line(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in tuple(self._lines))


class _Run:
    """The process, and what is done with it until its end."""

    def __init__(self, case: Case, process: subprocess.Popen[str], ends_at: float) -> None:
        assert process.stdout is not None and process.stderr is not None  # noqa: PT018, S101 - pipes
        self._document = case.document
        self._process = process
        self._ends_at = ends_at
        self.output = _Text(process.stdout)
        self.errors = _Text(process.stderr)
        self.answers: list[HttpAnswer] = []
        self.stopped = self.timed_out = False

    def drive(self) -> None:
        """Sends the requests, waits for the line, stops what stays; returns when the process has ended."""
        try:
            for request in self._document.requests:
                self.answers.append(self._ask(request))
            if self._document.until:
                self._wait_for(lambda: self.output.has_line(self._document.until))
            if self._document.requests or self._document.until:
                self._stop()
            else:
                self._wait_for(lambda: False)
        finally:
            self._stop()
            self.output.finish()
            self.errors.finish()

    def _wait_for(self, holds: Any) -> bool:  # noqa: ANN401 - a predicate
        while self._process.poll() is None:
            if holds():
                return True
            if time.monotonic() > self._ends_at:
                self.timed_out = True
                return False
            time.sleep(_LOOK_EVERY_S)
        return bool(holds())

    def _ask(self, request: HttpRequest) -> HttpAnswer:
        found: list[HttpAnswer] = []

        def answered() -> bool:
            answer = _send(request)
            found.extend([answer] if answer else [])
            return bool(found)

        self._wait_for(answered)
        return found[0] if found else HttpAnswer(0, "")

    def _stop(self) -> None:
        if self._process.poll() is None:
            self.stopped = True
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _send(request: HttpRequest) -> HttpAnswer | None:
    """None while nobody listens."""
    body = None if request.body is None else request.body.encode()
    method = request.method or ("GET" if body is None else "POST")
    asked = urllib.request.Request(request.url, body, request.headers, method=method)  # noqa: S310 - http:// alone
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=_REQUEST_S) as answer:
            return HttpAnswer(answer.status, answer.read(_MOST_ANSWER_BYTES).decode(errors="replace"))
    except urllib.error.HTTPError as error:
        with error:
            return HttpAnswer(error.code, error.read(_MOST_ANSWER_BYTES).decode(errors="replace"))
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ConnectionRefusedError) else HttpAnswer(0, "")
    except (OSError, http.client.HTTPException):  # it has been asked, and is not asked again
        return HttpAnswer(0, "")
