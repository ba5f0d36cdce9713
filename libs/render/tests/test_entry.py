"""The init of code agents, as the first process of a PID namespace, as in a container."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_render.containers.entry import below_init, without_init

NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")
WAIT = "import time; print('up', flush=True); time.sleep(60)"
HANDLED = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(3)))
print('up', flush=True)
time.sleep(60)
"""
ORPHANS = """
import contextlib, glob, subprocess, time
subprocess.run(["sh", "-c", "sleep 0.1 & sleep 0.1 & exit 0"])
deadline = time.monotonic() + 10
while True:
    states = []
    for file in glob.glob("/proc/[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that has ended since
            states.append(open(file).read().rpartition(")")[2].split()[0])
    if len(states) == 2 or time.monotonic() > deadline:
        break
    time.sleep(0.05)
print(states.count("Z"))
"""


@pytest.fixture(autouse=True, scope="module")
def namespaces() -> None:
    """Some machines keep PID namespaces from ordinary users."""
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no PID namespace can be made here: {tried.stderr.strip()}")


def start(code: str, shell: str = "sh") -> "subprocess.Popen[str]":
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    words = below_init((sys.executable, "-c", code))
    return subprocess.Popen([*NAMESPACE, shell, *words[1:]], stdout=subprocess.PIPE, text=True)


def first_process(running: "subprocess.Popen[str]") -> int:
    """The init, as the host sees it: what the kubelet sends its signals to."""
    return int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0])


@pytest.mark.parametrize("shell", ["dash", "bash"])
@pytest.mark.parametrize("code,exit_code,printed", [(WAIT, 128 + signal.SIGTERM, ""), (HANDLED, 3, "bye\n")])
def test_sigterm_ends_an_agent_with_its_own_exit_code(shell: str, code: str, exit_code: int, printed: str) -> None:
    with start(code, shell) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        began = time.monotonic()
        os.kill(first_process(running), signal.SIGTERM)

        assert running.stdout.read() == printed
        assert running.wait(20) == exit_code
        assert time.monotonic() - began < 20  # of a grace period of 30 s


def test_without_the_init_the_kernel_would_keep_the_signal_from_it() -> None:
    """What the init is for: should this fail, it can go."""
    with subprocess.Popen([*NAMESPACE, sys.executable, "-c", WAIT], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        os.kill(first_process(running), signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(1)
        running.kill()


def test_the_exit_code_is_the_programs() -> None:
    with start("raise SystemExit(7)") as running:
        assert running.wait(20) == 7


def test_orphans_are_collected() -> None:
    with start(ORPHANS) as running:
        assert running.communicate(timeout=30)[0] == "0\n"


def test_the_program_is_found_again_where_no_init_is_needed() -> None:
    assert without_init(below_init(("python", "main.py"))) == ("python", "main.py")
    assert without_init(("sh", "-c", "echo")) == ("sh", "-c", "echo")
