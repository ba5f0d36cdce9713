"""The one parent of a cluster's processes: it starts, signals and reaps them, and takes them with it.

It knows nothing of Kubernetes. What to start comes over a Unix socket in the home's run folder, so the order
of a start-up lives in the command that wants it, and a test can stop one component and start it again.

Nothing outlives it, however it ends: each child asks the kernel for SIGKILL at its parent's death, and in a
PID namespace, where it is PID 1, the kernel ends everything inside. It ends itself with its owner, when it
was given one. Its lock file tells whether it runs, which no stale PID file can get wrong.
"""

import argparse
import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cache import try_lock

SOCKET_NAME = "supervisor.sock"
LOCK_NAME = "supervisor.lock"
REQUEST_LIMIT = 1 << 20
REQUEST_TIMEOUT_S = 5.0
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""Runs what follows a PID and dies with it; one that ended before the kernel was asked is seen as well."""


@dataclass
class Child:
    """A component as it was started last."""

    argv: list[str]
    pid: int
    exit_code: int | None = None

    def describe(self) -> dict[str, Any]:
        """What `status` says of it; a negative exit code is the signal that ended it."""
        return {"pid": self.pid, "running": self.exit_code is None, "exitCode": self.exit_code}


class Supervisor:
    """Serves requests until it is told to end, by a request, a signal or its owner's death."""

    def __init__(self, *, log_dir: Path, listener: socket.socket, owner_fd: int | None) -> None:
        self._log_dir = log_dir
        self._listener = listener
        self._owner_fd = owner_fd
        self._children: dict[str, Child] = {}
        self._ending = False

    def serve(self) -> None:
        """Returns when everything it started has ended."""
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, self._end)
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ, self._answer_next)
            selector.register(wake_read, selectors.EVENT_READ, lambda: os.read(wake_read, 4096))
            if self._owner_fd is not None:
                selector.register(self._owner_fd, selectors.EVENT_READ, self._end)
            while not self._ending:
                for key, _ in selector.select():
                    key.data()
                self._reap()
        self._kill_all()

    def _end(self, *_: object) -> None:
        self._ending = True

    def _reap(self) -> None:
        """Collects every ended process: in a PID namespace also those whose parent has gone."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                self._record(pid, os.waitstatus_to_exitcode(status))

    def _record(self, pid: int, exit_code: int) -> None:
        for name, child in self._children.items():
            if child.pid == pid:
                child.exit_code = exit_code
                print(f"{name} (pid {pid}) ended: {exit_code}", flush=True)

    def _kill_all(self) -> None:
        for child in self._children.values():
            if child.exit_code is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)
        for child in self._children.values():
            with contextlib.suppress(ChildProcessError):
                if child.exit_code is None:
                    os.waitpid(child.pid, 0)

    def _answer_next(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(REQUEST_TIMEOUT_S)
            try:
                answer = self._handle(json.loads(_read_line(connection)))
            except (OSError, ValueError, KeyError, TypeError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps(answer).encode() + b"\n")

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        operation = request["op"]
        if operation == "start":
            return self._start(request["name"], request.get("argv"))
        if operation == "signal":
            return self._signal(request["name"], int(request["signal"]))
        if operation == "end":
            self._ending = True
        elif operation != "status":
            return {"error": f"unknown operation {operation!r}"}
        self._reap()
        return {"components": {name: child.describe() for name, child in self._children.items()}}

    def _start(self, name: str, argv: list[str] | None) -> dict[str, Any]:
        """Starts a component, by the command line it had before when none is given."""
        known = self._children.get(name)
        if known and known.exit_code is None:
            return {"error": f"{name} runs already (pid {known.pid})"}
        command = argv or (known.argv if known else None)
        if not command:
            return {"error": f"{name} was never started here"}
        self._children[name] = Child(command, self._spawn(name, command))
        return {"pid": self._children[name].pid}

    def _spawn(self, name: str, argv: list[str]) -> int:
        log = str(self._log_dir / f"{name}.log")
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        command = [*WITH_PARENT, str(os.getpid()), *argv]
        return os.posix_spawnp(command[0], command, os.environ, file_actions=files, setsid=True)

    def _signal(self, name: str, number: int) -> dict[str, Any]:
        child = self._children.get(name)
        if not child:
            return {"error": f"{name} was never started here"}
        if child.exit_code is None:
            os.kill(child.pid, number)
        return child.describe()


def _read_line(connection: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n") and len(line) < REQUEST_LIMIT:
        chunk = connection.recv(65536)
        if not chunk:
            break
        line += chunk
    return bytes(line)


def socket_address(folder_fd: int) -> str:
    """An address below 108 bytes, which is all that Unix sockets allow, for a folder of any length."""
    return f"/proc/self/fd/{folder_fd}/{SOCKET_NAME}"


def listen(run_dir: Path) -> socket.socket:
    """The supervisor's socket; a stale one is replaced, which the lock makes safe."""
    (run_dir / SOCKET_NAME).unlink(missing_ok=True)
    folder_fd = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(socket_address(folder_fd))
    finally:
        os.close(folder_fd)
    listener.listen()
    return listener


def main(arguments: Sequence[str]) -> int:
    """Runs until it is told to end; 1 when another supervisor holds the run folder."""
    parser = argparse.ArgumentParser(prog="supervisor")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--log-dir", type=Path, required=True)
    parser.add_argument("--owner-fd", type=int)
    options = parser.parse_args(arguments)
    lock = os.open(options.run_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    if not try_lock(lock):
        print(f"another supervisor holds {options.run_dir}", flush=True)
        return 1
    os.chdir(options.run_dir)
    if options.owner_fd is not None:
        os.set_inheritable(options.owner_fd, False)
    with listen(options.run_dir) as listener:
        Supervisor(log_dir=options.log_dir, listener=listener, owner_fd=options.owner_fd).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
