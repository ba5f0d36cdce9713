"""Keeps one tool's processes together, and leaves none behind. Run as a script, standard library only.

A process group is not enough: a tool may start a daemon in a session of its own, and whoever started the tool may
be killed before it can clean up. So each tool runs below a warden, which is a child subreaper: whatever the tool
starts and abandons becomes the warden's own child, and is killed and reaped when the tool ends, when the warden is
told to stop (SIGTERM), or when its parent dies. It also counts the tool's processes: RLIMIT_NPROC counts by user
id over the whole node, which would let one Pod use up another's.

argv[1] is JSON: statusFd, parent, folder, graceSeconds, intervalSeconds, processes, memoryBytes, fileBytes; the rest
of argv is the program and its arguments. The outcome is one line of JSON on statusFd:
{"exit": code} | {"signal": number} | {"error": text}, with "ended": "processes" when that limit was hit.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
LINUX = sys.platform.startswith("linux")
OPEN_FILES = 1024

Prctl = Callable[..., int]


def load_prctl() -> Prctl:
    """prctl(2), or nothing where there is none."""
    return ctypes.CDLL(None, use_errno=True).prctl if LINUX else lambda *_: 0


def find_descendants(pid: int) -> list[int]:
    """Every process below `pid`, parents before children."""
    found, waiting = [], [pid]
    while waiting:
        for child in _children(waiting.pop()):
            found.append(child)
            waiting.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib costs start time
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - likewise
                children.extend(map(int, file.read().split()))
    return children


class Tool:
    """The program in its own session, and what became of it."""

    def __init__(self, spec: dict[str, Any], argv: list[str], prctl: Prctl) -> None:
        self._spec = spec
        self._argv = argv
        self._prctl = prctl
        self.outcome: dict[str, Any] = {}
        self.pid = 0

    def start(self) -> bool:
        """Fork and exec. False when the program could not be executed; the outcome has the reason."""
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(writing)
        os.close(writing)
        problem = os.read(reading, 4096)
        os.close(reading)
        if problem:
            os.waitpid(self.pid, 0)
            self.outcome = {"error": problem.decode("utf-8", "replace")}
        return not problem

    def _become(self, report: int) -> None:
        try:
            os.setsid()
            self._limit()
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            self._prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            os.chdir(self._spec["folder"])
            os.execv(self._argv[0], self._argv)  # noqa: S606 - no shell is the point
        except OSError as error:
            os.write(report, f"{error.strerror}: {error.filename or self._argv[0]}".encode())
        finally:
            os._exit(127)

    def _limit(self) -> None:
        for kind, value in (
            (resource.RLIMIT_DATA, self._spec["memoryBytes"]),
            (resource.RLIMIT_FSIZE, self._spec["fileBytes"]),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
        ):
            hard = resource.getrlimit(kind)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (bound, bound))

    def reap(self) -> None:
        """Collect whoever has ended; note the tool's own end."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self.pid:
                    code = os.waitstatus_to_exitcode(status)
                    self.outcome.update({"exit": code} if code >= 0 else {"signal": -code})

    @property
    def ended(self) -> bool:
        """Whether the tool itself has ended."""
        return "exit" in self.outcome or "signal" in self.outcome

    def signal_group(self, number: int) -> None:
        """To the tool and those that stayed in its session."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, number)

    def kill_all(self) -> None:
        """Kill the tool and everything below the warden, until nothing is left.

        The group first: that is atomic against forking. Then those with sessions of their own; each round's
        orphans are the warden's children in the next.
        """
        if not self.ended:
            self.signal_group(signal.SIGKILL)
        while True:
            for pid in find_descendants(os.getpid()):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            try:
                os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            time.sleep(0.002)


def watch(tool: Tool, spec: dict[str, Any], wakeups: int) -> None:
    """Return when the tool has ended, was told to and did not, or has too many processes."""
    kill_at: float | None = None
    while True:
        select.select([wakeups], [], [], spec["intervalSeconds"])
        received = _drain(wakeups)
        tool.reap()
        if tool.ended:
            return
        if signal.SIGTERM in received and kill_at is None:
            tool.signal_group(signal.SIGTERM)
            kill_at = time.monotonic() + spec["graceSeconds"]
        if kill_at is not None and time.monotonic() >= kill_at:
            return
        if len(find_descendants(os.getpid())) > spec["processes"]:
            tool.outcome["ended"] = "processes"
            return


def _drain(wakeups: int) -> bytes:
    try:
        return os.read(wakeups, 1024)
    except BlockingIOError:
        return b""


def listen_for_signals() -> int:
    """A descriptor that has a byte for each SIGTERM and SIGCHLD."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def main() -> None:
    """Run the tool that the command line describes."""
    spec = json.loads(sys.argv[1])
    os.set_inheritable(spec["statusFd"], False)
    prctl = load_prctl()
    wakeups = listen_for_signals()
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != spec["parent"]:
        return
    tool = Tool(spec, sys.argv[2:], prctl)
    if tool.start():
        empty = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # the tool alone holds its pipes: their ends are its end
            os.dup2(empty, standard)
        watch(tool, spec, wakeups)
    tool.kill_all()
    with contextlib.suppress(OSError):
        os.write(spec["statusFd"], json.dumps(tool.outcome).encode() + b"\n")


if __name__ == "__main__":
    main()
