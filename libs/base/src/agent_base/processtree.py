"""The tree of processes below this one: orphans adopted, descendants found, all of them ended.

A process group is not enough to end a program: it may have started a daemon in a session of its own. On Linux, a
subreaper becomes the parent of whatever its descendants abandon, and so can find, kill and reap it.

Also loaded by scripts that start without site-packages and count milliseconds, hence the few imports.
"""

import os
import signal
import sys
import time

_SET_PDEATHSIG = 1  # of <sys/prctl.h>, like the two below
_SET_CHILD_SUBREAPER = 36
_SET_NO_NEW_PRIVS = 38
MOST_REAPED = 256
_ROUND_S = 0.002  # between two rounds of killing


def become_subreaper() -> None:
    """Adopt what descendants of this process abandon, where the system can (Linux)."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Receive signal `number` when the parent ends (Linux). Call it between fork and exec, or at the start."""
    _prctl(_SET_PDEATHSIG, number)


def refuse_new_privileges() -> None:
    """Let no program that is executed from here gain rights by its file's mode (Linux)."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def load_prctl() -> None:
    """Load what the three above need: between fork and exec, nothing should be imported."""
    if sys.platform == "linux":
        import ctypes  # noqa: F401, PLC0415 - milliseconds that a process without children saves


def find_descendants(pid: int, most: int = 1 << 22) -> list[int]:
    """Every process below `pid`, parents before their children; none where there is no /proc.

    The search ends with `most` of them: whoever counts must not be slower than a program that forks without end.
    """
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < most:
        children = find_children(waiting.pop())
        found += children
        waiting += children
    return found


def find_children(pid: int) -> list[int]:
    """The children of all threads of `pid`, those to be reaped included; none when it is gone."""
    children: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - pathlib costs start time
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123 - likewise
                children += map(int, file.read().split())
    except OSError:
        pass
    return children


def kill_descendants() -> dict[int, int]:
    """Kill and reap everything below this process, until nothing is left; the exit codes as of `reap_children`.

    Each round's orphans are this process's own children in the next, when it is a subreaper.
    """
    codes: dict[int, int] = {}
    while has_children():
        found = find_descendants(os.getpid())
        for pid in found:
            send_signal(pid, signal.SIGKILL)
        reaped = reap_children()
        codes.update(reaped)
        if not reaped and not found:
            break  # no /proc to find them in
        time.sleep(_ROUND_S)
    return codes


def has_children() -> bool:
    """Whether there is a child, running or to be reaped."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap_children() -> dict[int, int]:
    """Collect children that have ended; the exit code of each by pid, negative for a signal.

    Not more than `MOST_REAPED`: a program that forks without end has others ended before these are collected, and what
    has to be done about it would never be.
    """
    codes: dict[int, int] = {}
    try:
        while len(codes) < MOST_REAPED:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            codes[pid] = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        pass
    return codes


def signal_group(leader: int, number: int) -> None:
    """Send a signal to the process group of `leader`; one that is gone, or no longer ours, is passed over."""
    try:  # noqa: SIM105 - contextlib costs start time
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass


def send_signal(pid: int, number: int) -> None:
    """As `signal_group`, to one process."""
    try:  # noqa: SIM105 - likewise
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - see load_prctl

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
