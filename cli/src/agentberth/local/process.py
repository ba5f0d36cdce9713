"""One supervised process: started in a group of its own, its output passed on by line, its whole group ended."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from agent_base.processtree import die_with_parent, load_prctl, signal_group
from agentberth.errors import CommandError
from agentberth.local.pod import LocalProcess

Emit = Callable[[str, str, bool], None]
"""Called with the process's name, a line without its end, and True for standard error."""

_CHUNK_BYTES = 65_536
_LINE_BYTES = 1_048_576
_DRAIN_S = 2.0


class RunningProcess:
    """A process and the two tasks that read its output. Only `start` makes one."""

    def __init__(
        self, plan: LocalProcess, process: asyncio.subprocess.Process, pumps: list[asyncio.Task[None]]
    ) -> None:
        self.plan = plan
        self._process = process
        self._pumps = pumps

    @classmethod
    async def start(cls, plan: LocalProcess, emit: Emit, tasks: asyncio.TaskGroup) -> "RunningProcess":
        """Starts `plan`; its output is read by tasks of `tasks`.

        Raises CommandError when the program cannot be started.
        """
        argv = _in_container(plan) if plan.role == "agent" else plan.argv
        load_prctl()
        outputs = [_Pipe.open(), _Pipe.open()]
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=dict(plan.env),
                cwd=plan.cwd,
                stdin=None if plan.role == "agent" else asyncio.subprocess.DEVNULL,
                stdout=outputs[0].write_end,
                stderr=outputs[1].write_end,
                start_new_session=True,
                preexec_fn=_end_with_the_run,
            )
        except OSError as error:
            for pipe in outputs:
                os.close(pipe.read_end)
            raise CommandError(f"{plan.name}: cannot start {plan.argv[0]}: {error.strerror}") from error
        finally:
            for pipe in outputs:
                os.close(pipe.write_end)
        pumps = [
            tasks.create_task(_pump(pipe, plan.name, emit, err))
            for pipe, err in zip(outputs, (False, True), strict=True)
        ]
        return cls(plan, process, pumps)

    async def wait(self) -> int:
        """The exit code, once the process has ended; 128 + n when signal n ended it."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    @property
    def exit_code(self) -> int | None:
        """As `wait` gives it; None while it runs."""
        code = self._process.returncode
        return code if code is None or code >= 0 else 128 - code

    async def finish(self) -> None:
        """Ends what the process left in its group and passes on the rest of the output."""
        signal_group(self._process.pid, signal.SIGKILL)
        _, late = await asyncio.wait(self._pumps, timeout=_DRAIN_S)
        for pump in late:  # a process that left the group holds the pipe
            pump.cancel()

    async def stop(self, grace_s: float) -> None:
        """SIGTERM to the group, SIGKILL when it is not gone after `grace_s` seconds."""
        if self._process.returncode is None:
            signal_group(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
        signal_group(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self.finish()


def _end_with_the_run() -> None:
    die_with_parent(signal.SIGTERM)


def _in_container(plan: LocalProcess) -> tuple[str, ...]:
    """The command line of the agent's parent: see `agentberth.local.container`.

    Raises CommandError when there is no such program.
    """
    program = shutil.which(plan.argv[0], path=plan.env.get("PATH", os.defpath))
    if program is None:
        raise CommandError(f"{plan.name}: cannot start {plan.argv[0]}: No such file or directory")
    parent = (sys.executable, "-I", "-m", "agentberth.local.container", str(os.getpid()))
    return (*parent, *plan.writable, "--", program, *plan.argv[1:])


@dataclass(frozen=True)
class _Pipe:
    """A pipe of our own: asyncio's would make `wait` last until whoever inherited it is gone as well."""

    read_end: int
    write_end: int

    @classmethod
    def open(cls) -> "_Pipe":
        return cls(*os.pipe())


async def _pump(pipe: _Pipe, name: str, emit: Emit, err: bool) -> None:  # noqa: FBT001 - see Emit
    """Lines to `emit`; one without end is cut at 1 MiB instead of being collected."""
    stream = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(stream)
    file = os.fdopen(pipe.read_end, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
    rest = b""
    try:
        while chunk := await stream.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                emit(name, line.rstrip(b"\r").decode(errors="replace"), err)
        if rest:
            emit(name, rest.decode(errors="replace"), err)
    finally:
        transport.close()
