"""Runs the processes of a Pod in its order and ends them together, whatever ends first."""

import asyncio
import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, Literal
from urllib.parse import urlsplit

from agent_base.processtree import become_subreaper, kill_descendants
from agentberth.errors import CommandError
from agentberth.local.pod import LocalProcess
from agentberth.local.process import Emit, RunningProcess

LOOK_EVERY_S: Final = 0.05
TELL_AFTER_S: Final = 3.0
"""A sidecar that is awaited for longer says why; most are up sooner."""
_TOLD_BYTES: Final = 1000
_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy of the shell's is on loopback


@dataclass(frozen=True)
class Outcome:
    """How the run ended: which process decided it, and its exit code (None when we stopped it)."""

    cause: Literal["agent", "init", "sidecar", "stopped"]
    process: str = ""
    exit_code: int | None = None


@dataclass
class Supervisor:
    """Starts the sidecars, meanwhile init containers one after the other, and the agent when all of that is done.

    `stop` ends the run early. `grace_s` is how long a process has between SIGTERM and SIGKILL.
    """

    emit: Emit
    stop: asyncio.Event
    grace_s: float
    tell_after_s: float = TELL_AFTER_S
    before_end: Callable[[], Awaitable[None]] | None = None
    """Called when the run is over, while the sidecars still answer."""
    _running: list[RunningProcess] = field(default_factory=list)
    _started: dict[str, RunningProcess] = field(default_factory=dict)

    @property
    def exit_codes(self) -> dict[str, int | None]:
        """Of each process that was started; None for one that runs."""
        return {name: process.exit_code for name, process in self._started.items()}

    async def run(self, processes: Sequence[LocalProcess]) -> Outcome:
        """Runs until the agent ends, any other process ends or fails, or `stop` is set.

        Raises CommandError when a program cannot be started or a sidecar does not come up.
        """
        become_subreaper()
        failure: CommandError | None = None
        outcome = Outcome("stopped")
        async with asyncio.TaskGroup() as tasks:
            try:
                outcome = await self._sequence(processes, tasks)
            except CommandError as error:  # raised after the group, so that it stays one error
                failure = error
            finally:
                if self.before_end is not None:
                    await self.before_end()
                await self._end()
        if failure:
            raise failure
        return outcome

    async def _sequence(self, processes: Sequence[LocalProcess], tasks: asyncio.TaskGroup) -> Outcome:
        sidecars = [await self._start(plan, tasks) for plan in processes if plan.role == "sidecar"]
        for plan in (plan for plan in processes if plan.role == "init"):
            ended = await self._prepare(await self._start(plan, tasks))
            if ended is not None:
                return ended
        for sidecar in sidecars:
            ended = await self._await_startup(sidecar.plan)
            if ended is not None:
                return ended
        for plan in (plan for plan in processes if plan.role == "agent"):
            await self._start(plan, tasks)
        return await self._first_end(self._running)

    async def _start(self, plan: LocalProcess, tasks: asyncio.TaskGroup) -> RunningProcess:
        process = await RunningProcess.start(plan, self.emit, tasks)
        self._running.append(process)
        self._started[plan.name] = process
        return process

    async def _prepare(self, process: RunningProcess) -> Outcome | None:
        """Waits until an init container has done its work; an outcome means that nothing more may start."""
        ended = await self._first_end(self._running)
        if ended.cause != "init" or ended.exit_code:
            return ended
        await process.finish()
        self._running.remove(process)
        return None

    async def _await_startup(self, plan: LocalProcess) -> Outcome | None:
        """Looks often: nobody waits for a whole period here. What lasts is told, whenever its reason is another."""
        probe = plan.startup
        if probe is None:
            return None
        began, told = time.monotonic(), ""
        while (fault := await asyncio.to_thread(_fault_of, probe.url)) is not None:
            waited_s = time.monotonic() - began
            if waited_s >= probe.patience_s:
                raise CommandError(f"{plan.name}: did not come up: {fault}")
            if waited_s >= self.tell_after_s and fault != told:
                self.emit(plan.name, f"not ready yet: {fault}", True)
                told = fault
            ended = await self._first_end(self._running, timeout_s=LOOK_EVERY_S)
            if ended.process or self.stop.is_set():
                return ended
        return None

    async def _first_end(self, running: Sequence[RunningProcess], timeout_s: float | None = None) -> Outcome:
        """The first of `running` to end, or `stopped` when `stop` is set or the time is over."""
        stopping = asyncio.ensure_future(self.stop.wait())
        waits = {asyncio.ensure_future(process.wait()): process for process in running}
        try:
            done, _ = await asyncio.wait({stopping, *waits}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for future in (stopping, *waits):
                future.cancel()
        ended = [waits[future] for future in waits if future in done]
        if not ended:
            return Outcome("stopped")
        agent = next((process for process in ended if process.plan.role == "agent"), ended[0])
        return Outcome(agent.plan.role, agent.plan.name, await agent.wait())

    async def _end(self) -> None:
        """Ends what still runs, in the reverse order of the start: sidecars, which started together, end together."""
        for _, group in groupby(reversed(self._running), key=lambda process: process.plan.role):
            async with asyncio.TaskGroup() as tasks:
                for process in group:
                    tasks.create_task(process.stop(self.grace_s))
        await asyncio.to_thread(kill_descendants)


def _fault_of(url: str) -> str | None:
    """Why what listens at `url` is not up; None when it is."""
    if url.startswith("tcp://"):
        return None if _accepts(url) else f"nothing listens at {url}"
    try:
        with _DIRECT.open(url, timeout=1):
            return None
    except urllib.error.HTTPError as error:
        with error:
            text = error.read(_TOLD_BYTES).decode(errors="replace")
        failed = [line.removeprefix("[-] ") for line in text.splitlines() if line.startswith("[-] ")]
        return "; ".join(failed) or f"{url} answers {error.code}"
    except (http.client.HTTPException, OSError):
        return f"nothing answers at {url}"


def _accepts(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=1).close()
    except OSError:
        return False
    return True
