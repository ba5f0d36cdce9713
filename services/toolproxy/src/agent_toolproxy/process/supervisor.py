"""Keeps one tool's processes together, and leaves none behind.

A script, started for every call: what it imports is chosen by what that costs (json and typing would double it).
Of our own it has `agent_base.processtree`, from the folder that is the first argument.

A process group is not enough: a tool may start a daemon in a session of its own, and whoever started the tool may
be killed before it can clean up. So each tool runs below a supervisor, which is a child subreaper: whatever the tool
starts and abandons becomes the supervisor's own child, and is killed and reaped when the tool ends, when the
supervisor is told to stop (SIGTERM), or when its parent dies. It also counts the tool's processes: RLIMIT_NPROC
counts by user id over the whole node, which would let one Pod use up another's.

The next arguments are those of `Limits`, in its order; the rest is the program and its own arguments. The outcome is
one line on the status descriptor: what happened, a number, and the limit that was hit if one was:
`exit 0`, `signal 9`, `signal 9 processes`, `error No such file or directory`.
"""

import os
import resource
import select
import signal
import sys
import time

if __name__ == "__main__":  # started with -S: the folder that has agent_base is the first argument
    sys.path.append(sys.argv.pop(1))

from agent_base.processtree import (
    become_subreaper,
    die_with_parent,
    find_descendants,
    kill_descendants,
    reap_children,
    refuse_new_privileges,
    signal_group,
)

OPEN_FILES = 1024


def confine(hidden: list[str], writable: list[str]) -> None:
    """See the module beside this script. Imported late: packages are installed without it."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib costs start time
    import landlock  # type: ignore[import-not-found]  # noqa: PLC0415 - a script has no package
    import syscallfilter  # type: ignore[import-not-found]  # noqa: PLC0415 - likewise

    landlock.confine(hidden, writable)
    syscallfilter.restrict()


class Limits:
    """What the supervisor is told, as words of the command line."""

    COUNT = 10

    def __init__(self, words: list[str]) -> None:
        self.status = int(words[0])
        self.parent = int(words[1])
        self.folder = words[2]
        self.grace_s = float(words[3])
        self.interval_s = float(words[4])
        self.processes = int(words[5])
        self.memory_bytes = int(words[6])
        self.file_bytes = int(words[7])
        self.hidden = words[8].split(":") if words[8] else []
        self.writable = words[9].split(":") if words[9] else []


class SupervisedProcess:
    """The program in its own session, and what became of it."""

    def __init__(self, limits: Limits, argv: list[str]) -> None:
        self._limits = limits
        self._argv = argv
        self.pid = 0
        self.outcome = ""
        self.limit = ""

    def start(self) -> bool:
        """Fork and exec. False when the program could not be executed; the outcome has the reason."""
        reading, writing = os.pipe()
        supervisor = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(writing, supervisor)
        os.close(writing)
        problem = os.read(reading, 4096)
        os.close(reading)
        if problem:
            os.waitpid(self.pid, 0)
            self.outcome = "error " + problem.decode("utf-8", "replace")
        return not problem

    def _become(self, report: int, supervisor: int) -> None:
        try:
            os.setsid()
            self._apply_limits()
            for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            refuse_new_privileges()
            die_with_parent()
            if os.getppid() != supervisor:
                os._exit(127)
            os.chdir(self._limits.folder)
            if self._limits.hidden:
                confine(self._limits.hidden, self._limits.writable)
            os.execv(self._argv[0], self._argv)  # noqa: S606 - no shell is the point
        except OSError as error:
            os.write(report, f"{error.strerror or error}: {error.filename or self._argv[0]}".encode())
        finally:
            os._exit(127)

    def _apply_limits(self) -> None:
        for kind, value in (
            (resource.RLIMIT_DATA, self._limits.memory_bytes),
            (resource.RLIMIT_FSIZE, self._limits.file_bytes),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
        ):
            hard = resource.getrlimit(kind)[1]
            bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (bound, bound))

    def reap(self) -> None:
        """Collect all that have ended; note the tool's own end."""
        self._note_end(reap_children())

    def signal_group(self, number: int) -> None:
        """To the tool and those that stayed in its session."""
        signal_group(self.pid, number)

    def kill_all(self) -> None:
        """Kill the tool and everything below the supervisor, until nothing is left.

        The group first: that is atomic against forking. Then those with sessions of their own.
        """
        if not self.outcome:
            self.signal_group(signal.SIGKILL)
        self._note_end(kill_descendants())

    def _note_end(self, codes: dict[int, int]) -> None:
        code = codes.get(self.pid)
        if code is not None:
            self.outcome = f"exit {code}" if code >= 0 else f"signal {-code}"


def watch(process: SupervisedProcess, limits: Limits, wakeups: int) -> None:
    """Return when the tool has ended, was told to and did not, or has too many processes."""
    kill_at = 0.0
    while True:
        select.select([wakeups], [], [], limits.interval_s)
        received = drain(wakeups)
        process.reap()
        if process.outcome:
            return
        if signal.SIGTERM in received and not kill_at:
            process.signal_group(signal.SIGTERM)
            kill_at = time.monotonic() + limits.grace_s
        if kill_at and time.monotonic() >= kill_at:
            return
        if len(find_descendants(os.getpid(), limits.processes + 1)) > limits.processes:
            process.limit = " processes"
            return


def drain(wakeups: int) -> bytes:
    """The numbers of the signals that came."""
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
    limits = Limits(sys.argv[1:])
    os.set_inheritable(limits.status, False)
    wakeups = listen_for_signals()
    become_subreaper()
    die_with_parent(signal.SIGTERM)
    if os.getppid() != limits.parent:
        return
    process = SupervisedProcess(limits, sys.argv[1 + Limits.COUNT :])
    if process.start():
        empty = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # the tool alone holds its pipes: their ends are its end
            os.dup2(empty, standard)
        watch(process, limits, wakeups)
    process.kill_all()
    os.write(limits.status, f"{process.outcome}{process.limit}\n".encode())


if __name__ == "__main__":
    main()
