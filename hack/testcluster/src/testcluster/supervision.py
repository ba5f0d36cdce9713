"""The other side of the supervisor's socket: start it, ask it, end it."""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .components.component import Component
from .errors import CommandError, NotReadyError, NotUpError
from .home import Home
from .supervisor import SOCKET_NAME, socket_address

PACKAGE_PARENT = Path(__file__).resolve().parent.parent
GOGC = "400"
"""Of every component, unless the caller's environment says otherwise: memory for a fifth of the CPU."""
ANSWER_TIMEOUT_S = 10.0
END_TIMEOUT_S = 30.0
STOP_GRACE_S = 15.0
LOG_TAIL_LINES = 12


class SupervisorClient:
    """Requests to the supervisor of one home. Each raises NotUpError when there is none."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def pid(self) -> int:
        """The supervisor's PID in this process's PID namespace, as the kernel vouches for it."""
        with self._connect() as connection:
            size = struct.calcsize("3i")
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            return int(struct.unpack("3i", credentials)[0])

    def start(self, component: Component) -> None:
        """Starts a component. Raises CommandError when it runs already."""
        self._ask({"op": "start", "name": component.name, "argv": list(component.argv)})

    def start_again(self, name: str) -> None:
        """Starts a component that was stopped, with the command line it had."""
        self._ask({"op": "start", "name": name})

    def send(self, name: str, number: int) -> None:
        """Signals a component and waits for nothing: STOP freezes it with its connections open, CONT wakes it."""
        self._ask({"op": "signal", "name": name, "signal": int(number)})

    def stop(self, name: str, *, number: int = signal.SIGTERM) -> None:
        """Signals a component and waits for its end; after a grace period it is killed."""
        self.send(name, number)
        deadline = time.monotonic() + STOP_GRACE_S
        while self.status()[name]["running"]:
            if time.monotonic() > deadline:
                self.send(name, signal.SIGKILL)
            time.sleep(0.02)

    def status(self) -> dict[str, dict[str, Any]]:
        """Every component that was started: `pid`, `running`, `exitCode`."""
        components: dict[str, dict[str, Any]] = self._ask({"op": "status"})["components"]
        return components

    def check_alive(self, *names: str) -> None:
        """Raises NotReadyError, with the end of its log, when one of `names` (default: any) has ended."""
        for name, state in self.status().items():
            if not state["running"] and (name in names or not names):
                raise NotReadyError(f"{name} ended with {state['exitCode']}:\n{log_tail(self._home, name)}")

    def end(self) -> None:
        """Ends the supervisor and with it all it started, and waits until the last process has gone."""
        process = os.pidfd_open(self.pid())
        try:
            with contextlib.suppress(NotUpError):
                self._ask({"op": "end"})
            if not select.select([process], [], [], END_TIMEOUT_S)[0]:
                raise CommandError(f"the supervisor of {self._home.root} did not end in {END_TIMEOUT_S:.0f} s")
        finally:
            os.close(process)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._connect() as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        if not line:
            raise NotUpError(f"the cluster in {self._home.root} is ending")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise CommandError(str(answer["error"]))
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(ANSWER_TIMEOUT_S)
        try:
            folder_fd = os.open(self._home.run, os.O_RDONLY | os.O_DIRECTORY)
            try:
                connection.connect(socket_address(folder_fd))
            finally:
                os.close(folder_fd)
        except OSError:
            connection.close()
            raise NotUpError(f"no cluster runs in {self._home.root}: start one with hack/testcluster/up") from None
        return connection


def is_up(home: Home) -> bool:
    """Whether a supervisor serves this home."""
    try:
        SupervisorClient(home).pid()
    except NotUpError:
        return False
    return True


def launch(home: Home, *, prefix: Sequence[str] = (), owner_pid: int | None = None) -> SupervisorClient:
    """Starts a supervisor, by `prefix` (such as an unshare command) when given, and waits until it answers.

    It ends when the process `owner_pid` does. Raises NotReadyError when it does not come up.
    """
    with contextlib.ExitStack() as held:
        argv = [*prefix, sys.executable, "-m", f"{__package__}.supervisor"]
        argv += [f"--run-dir={home.run}", f"--log-dir={home.log}"]
        owner = _open_owner(owner_pid, held)
        if owner is not None:
            argv.append(f"--owner-fd={owner}")
        log = held.enter_context((home.log / "supervisor.log").open("ab"))
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=() if owner is None else (owner,),
            env={"GOGC": GOGC, **os.environ, "PYTHONPATH": str(PACKAGE_PARENT), "PYTHONDONTWRITEBYTECODE": "1"},
        )
    return _wait_for(home, process)


def _open_owner(pid: int | None, held: contextlib.ExitStack) -> int | None:
    if pid is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        raise CommandError(f"--owner-pid {pid}: {error.strerror}") from None
    held.callback(os.close, descriptor)
    return descriptor


def _wait_for(home: Home, process: subprocess.Popen[bytes]) -> SupervisorClient:
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while not (home.run / SOCKET_NAME).exists() or not is_up(home):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise NotReadyError(f"the supervisor did not start:\n{log_tail(home, 'supervisor')}")
        time.sleep(0.02)
    process.returncode = 0  # it is meant to outlive this process: nobody here waits for it
    return SupervisorClient(home)


def log_tail(home: Home, name: str) -> str:
    """The last lines of a component's log."""
    try:
        lines = (home.log / f"{name}.log").read_text(errors="replace").splitlines()
    except OSError:
        return f"(no log in {home.log})"
    return "\n".join(lines[-LOG_TAIL_LINES:])
