"""Child processes: an own process group each, a minimal environment, a time limit, and nothing left behind.

Never a shell. Output is read as it comes and kept up to a bound. On Linux a child also dies with this
program when that is killed outright, so that no orphan writes into a folder that the next run removes.
"""

import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from agent_api.initreport import InitFault
from agent_base.boundedlines import BoundedLines
from agent_base.processtree import (
    become_subreaper,
    die_with_parent,
    kill_descendants,
    load_prctl,
    signal_group,
)
from agent_base.redaction import LineRedactor, Redactor
from agent_initenv.errors import StepError
from agent_initenv.retry import Clock

OUTPUT_KEPT_BYTES: Final = 64 * 1024
_LONGEST_LINE_CHARS: Final = 8 * 1024
_LONGEST_SECRET_BYTES: Final = 8 * 1024
"""Read beyond what is shown, so that a secret at the cut is there as a whole when it is masked."""
_POLL_S: Final = 0.1  # how often a silent child is asked whether it has ended
_GRACE_S: Final = 2.0  # between SIGTERM and SIGKILL


@dataclass(frozen=True)
class Finished:
    """How a child ended: its exit code (negative: the signal) and the tail of both its outputs.

    The output of a failed child is for a person, and redacted; that of another is data.
    """

    code: int
    output: str


class Programs:
    """Runs programs found on `search_path` and beside our own interpreter.

    With `adopts`, this process has no children but those of `run`, and ends also what they leave behind.
    """

    def __init__(self, search_path: str, clock: Clock, redactor: Redactor, *, adopts: bool = False) -> None:
        self._search_path = search_path
        self._clock = clock
        self._redactor = redactor
        self._adopts = adopts

    def find(self, name: str, search_path: str = "") -> str:
        """The absolute path of a program, on `search_path` if given. Raises StepError (ProgramMissing)."""
        beside = str(Path(sys.executable).parent)
        found = shutil.which(name, path=f"{search_path or self._search_path}{os.pathsep}{beside}")
        if found is None:
            raise StepError(InitFault.PROGRAM_MISSING, f"The program {name} is not in the init container.")
        return found

    def run(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        timeout_s: float,
        echo: Callable[[str], None] | None = None,
        largest_file_bytes: int | None = None,
    ) -> Finished:
        """Run an argument vector to its end; `echo` gets each line of output as it comes, redacted.

        A file that it writes has at most `largest_file_bytes`.
        Raises StepError: TimedOut after `timeout_s`, ProgramMissing when it cannot be started.
        """
        if self._adopts:
            become_subreaper()
        child = _start(command, env, cwd, largest_file_bytes)
        output = _Output(self._redactor, echo)
        try:
            on_time = self._read(child, output, self._clock.now_s() + timeout_s)
        finally:
            _end_group(child)
            if self._adopts:
                kill_descendants()
        output.close()
        if not on_time:
            raise StepError(InitFault.TIMED_OUT, f"{Path(command[0]).name} was still running after {timeout_s:.0f} s.")
        return Finished(child.returncode, output.redacted() if child.returncode else output.text())

    def _read(self, child: "subprocess.Popen[bytes]", output: "_Output", deadline_s: float) -> bool:
        """Read until the child has ended (True) or the deadline has passed (False)."""
        pipe = _pipe_of(child)
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while True:
                left_s = deadline_s - self._clock.now_s()
                if left_s <= 0:
                    return False
                ended = child.poll() is not None  # asked first: what it wrote before is read below
                if selector.select(0 if ended else min(_POLL_S, left_s)):
                    block = os.read(pipe.fileno(), 65536)
                    if not block:
                        return _wait(child, left_s)
                    output.add(block)
                elif ended:
                    return True


class _Output:
    """The tail of a child's output, and its lines for `echo`."""

    def __init__(self, redactor: Redactor, echo: Callable[[str], None] | None) -> None:
        self._redactor = redactor
        self._line_redactor = LineRedactor(redactor)
        self._echo = echo
        self._tail = bytearray()
        self._lines = BoundedLines(_LONGEST_LINE_CHARS + _LONGEST_SECRET_BYTES)

    def add(self, block: bytes) -> None:
        self._tail += block
        del self._tail[: -(OUTPUT_KEPT_BYTES + _LONGEST_SECRET_BYTES)]
        self._pass_on(self._lines.feed(block))

    def close(self) -> None:
        self._pass_on(self._lines.close())

    def text(self) -> str:
        return self._tail.decode(errors="replace")[-OUTPUT_KEPT_BYTES:]

    def redacted(self) -> str:
        return self._redactor.redact(self._tail.decode(errors="replace"))[-OUTPUT_KEPT_BYTES:]

    def _pass_on(self, lines: Iterable[bytes]) -> None:
        if self._echo is None:
            return
        for line in lines:
            text = self._line_redactor.redact(line.decode(errors="replace").rstrip("\r"))
            if text is not None:
                self._echo(text[:_LONGEST_LINE_CHARS])


def _start(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, largest_file_bytes: int | None
) -> "subprocess.Popen[bytes]":
    load_prctl()

    def enter() -> None:
        die_with_parent()
        if largest_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes))

    try:
        return subprocess.Popen(  # the caller always ends it
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=enter,  # noqa: PLW1509 - this program has one thread
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StepError(InitFault.PROGRAM_MISSING, f"{command[0]} cannot be started: {reason or error}.") from error


def _pipe_of(child: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert child.stdout is not None  # noqa: S101 - Popen was told to make it
    return child.stdout


def _wait(child: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end_group(child: "subprocess.Popen[bytes]") -> None:
    """End whatever of the child's process group still runs, and reap the child."""
    if child.poll() is None:
        signal_group(child.pid, signal.SIGTERM)
        _wait(child, _GRACE_S)
    signal_group(child.pid, signal.SIGKILL)
    child.wait()
    _pipe_of(child).close()
