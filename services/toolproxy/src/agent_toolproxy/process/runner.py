"""Runs programs below a supervisor: bounded in time, output, memory and processes, and gone when they are done.

No shell is ever used and nothing of the proxy's environment is inherited. A program that is cut off is told to end
first (SIGTERM to its group), then killed with everything it has started.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Final, Literal

import agent_base
from agent_base.processtree import find_descendants, send_signal
from agent_toolproxy.errors import InvalidArguments
from agent_toolproxy.process.arguments import check_arguments

Stream = Literal["stdout", "stderr"]
Ended = Literal["exit", "timeout", "output", "processes", "lost"]
OutputListener = Callable[[Stream, bytes], Awaitable[None]]

GRACE_S: Final = 2.0
"""Between SIGTERM and SIGKILL."""
PATIENCE_S: Final = 10.0
"""After the grace period, for killing what a program has started; then the supervisor itself is killed."""
DRAIN_FACTOR: Final = 16
"""A program may print this many times its output limit (the rest is dropped) before it is ended."""
FILE_BYTES: Final = 4 << 30
"""The largest file a program may write."""
_CHUNK_BYTES: Final = 1 << 16
_SUPERVISOR: Final = str(Path(__file__).with_name("supervisor.py"))
_BASE_FOLDER: Final = str(Path(agent_base.__file__).parent.parent)
"""That the supervisor, which starts without site-packages, imports agent_base from."""
LINE_BYTES: Final = 8 << 20
"""The longest line of a stdio server."""


@dataclass(frozen=True, kw_only=True)
class ProcessLimits:
    """Bounds of one program and of everything it starts."""

    timeout_s: float
    output_bytes: int
    memory_bytes: int
    processes: int


@dataclass(frozen=True)
class Confinement:
    """What a program cannot see, and the only folders that it can write to (and sees, wherever they are)."""

    hidden: tuple[Path, ...]
    writable: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program to run. `program` is an absolute path; `environment` is the whole of it."""

    program: str
    arguments: tuple[str, ...] = ()
    folder: Path
    environment: Mapping[str, str]
    stdin: bytes = b""
    limits: ProcessLimits
    confinement: Confinement | None = None


@dataclass(frozen=True, kw_only=True)
class ProcessResult:
    """What a program did. `exit_code` is None when it was ended; then `ended` tells why, or `signal` by what."""

    exit_code: int | None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: tuple[Stream, ...] = ()
    ended: Ended = "exit"
    error: str = ""


@dataclass
class _Capture:
    """The first bytes of one stream."""

    limit_bytes: int
    kept: bytearray = field(default_factory=bytearray)
    seen_bytes: int = 0

    def add(self, chunk: bytes) -> bytes:
        """Keep what still fits; that part."""
        part = chunk[: max(0, self.limit_bytes - len(self.kept))]
        self.kept += part
        self.seen_bytes += len(chunk)
        return part


class _OutputExceeded(Exception):  # noqa: N818 - ends the reading, is not an error of ours
    pass


async def run_command(command: Command, on_output: OutputListener | None = None) -> ProcessResult:
    """Run `command` to its end. Cancelling it ends the program and waits until nothing of it is left.

    Raises InvalidArguments for arguments that no program can be given.
    """
    captures: dict[Stream, _Capture] = {
        "stdout": _Capture(command.limits.output_bytes),
        "stderr": _Capture(command.limits.output_bytes),
    }
    ended: Ended = "exit"
    async with start_process(command, interval_s=0.05) as child:
        try:
            async with asyncio.timeout(command.limits.timeout_s):
                ended = await _converse_within_limits(child, command.stdin, captures, on_output)
        except TimeoutError:
            ended = "timeout"
    return _sum_up(child.outcome, captures, ended)


def _sum_up(outcome: "Outcome", captures: Mapping[Stream, _Capture], ended: Ended) -> ProcessResult:
    cause: Ended = outcome.ended if ended == "exit" else ended
    return ProcessResult(
        exit_code=outcome.exit_code if cause == "exit" else None,
        signal=outcome.signal,
        stdout=bytes(captures["stdout"].kept),
        stderr=bytes(captures["stderr"].kept),
        truncated=tuple(name for name, each in captures.items() if each.seen_bytes > each.limit_bytes),
        ended=cause,
        error=outcome.error,
    )


async def _converse_within_limits(
    child: "Child", stdin: bytes, captures: Mapping[Stream, _Capture], on_output: OutputListener | None
) -> Ended:
    try:
        await _converse(child, stdin, captures, on_output)
    except* _OutputExceeded:
        return_value: Ended = "output"
    else:
        return_value = "exit"
    return return_value


async def _converse(
    child: "Child", stdin: bytes, captures: Mapping[Stream, _Capture], on_output: OutputListener | None
) -> None:
    async with asyncio.TaskGroup() as group:
        for name, reader in (("stdout", child.stdout), ("stderr", child.stderr)):
            group.create_task(_drain(name, reader, captures[name], on_output))  # type: ignore[arg-type, index]
        group.create_task(_feed(child.stdin, stdin))
    await child.process.wait()


async def _feed(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        if data:
            writer.write(data)
            await writer.drain()
    writer.close()


async def _drain(
    name: Stream, reader: asyncio.StreamReader, capture: _Capture, on_output: OutputListener | None
) -> None:
    while chunk := await reader.read(_CHUNK_BYTES):
        kept = capture.add(chunk)
        if capture.seen_bytes > capture.limit_bytes * DRAIN_FACTOR:
            raise _OutputExceeded
        if kept and on_output is not None:
            await on_output(name, kept)


@dataclass(frozen=True)
class Outcome:
    """What the supervisor said of a program's end."""

    ended: Ended = "lost"
    exit_code: int | None = None
    signal: int | None = None
    error: str = ""

    @classmethod
    def parse(cls, line: str) -> "Outcome":
        """From the supervisor's line; an empty one is a supervisor that was killed."""
        kind, _, rest = line.strip().partition(" ")
        if kind == "error":
            return cls("exit", error=rest)
        number, _, limit = rest.partition(" ")
        ended: Ended = "processes" if limit == "processes" else "exit"
        if kind == "exit":
            return cls(ended, exit_code=int(number))
        return cls(ended, signal=int(number)) if kind == "signal" else cls()


@dataclass
class Child:
    """A running program. `outcome` is filled in when it has ended."""

    process: asyncio.subprocess.Process
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    outcome: Outcome = Outcome()

    def terminate(self) -> None:
        """Ask the program to end; it is killed after the grace period."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()


@asynccontextmanager
async def start_process(command: Command, *, interval_s: float) -> AsyncIterator[Child]:
    """A running program; on leaving it is ended, with everything it started.

    Its processes are counted every `interval_s`. Raises InvalidArguments.
    """
    check_arguments(command.arguments)
    reading, writing = os.pipe()
    try:
        process = await _spawn(command, writing, interval_s)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - all three are pipes
    child = Child(process, process.stdin, process.stdout, process.stderr)
    try:
        yield child
    finally:
        try:
            await _end(child)
        finally:
            child.outcome = _read_outcome(reading)
            child.stdin.close()


async def _spawn(command: Command, status: int, interval_s: float) -> asyncio.subprocess.Process:
    limits = command.limits
    bounds = (limits.processes, limits.memory_bytes, FILE_BYTES)
    spec = (status, os.getpid(), command.folder, GRACE_S, interval_s, *bounds, *_spell(command.confinement))
    prefix = ("-I", "-S", _SUPERVISOR, _BASE_FOLDER, *map(str, spec), command.program)
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *prefix,
            *command.arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(command.environment),
            cwd="/",
            pass_fds=(status,),
            start_new_session=True,
            limit=_CHUNK_BYTES,
        )
    except OSError as error:
        raise InvalidArguments(f"the arguments cannot be given to a program: {error.strerror}") from error


def _spell(confinement: Confinement | None) -> tuple[str, str]:
    if confinement is None:
        return "", ""
    return ":".join(map(str, confinement.hidden)), ":".join(map(str, confinement.writable))


async def _end(child: Child) -> None:
    """Make sure that the supervisor, and so all below it, is gone."""
    if child.process.returncode is not None:
        return
    child.terminate()
    try:
        async with asyncio.timeout(GRACE_S + PATIENCE_S):
            await child.process.wait()
    except TimeoutError:  # its supervisor is given up, and would leave what it did not get to kill
        for pid in find_descendants(child.process.pid):
            send_signal(pid, SIGKILL)
    finally:
        if child.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.process.kill()


def _read_outcome(reading: int) -> Outcome:
    os.set_blocking(reading, False)
    try:
        line = os.read(reading, 1 << 16)
    except BlockingIOError:
        line = b""
    finally:
        os.close(reading)
    return Outcome.parse(line.decode("utf-8", "replace"))
