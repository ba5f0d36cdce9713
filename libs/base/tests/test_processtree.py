"""In a process of its own each: a subreaper would adopt the children of pytest."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent_base import processtree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
"""
CHAIN = """
import os, subprocess, sys, time
left = int(sys.argv[1])
if left:
    subprocess.Popen([sys.executable, "-c", os.environ["CHAIN"], str(left - 1)], start_new_session=True)
print(left, flush=True)
time.sleep(600)
"""


def run(script: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_a_daemon_is_adopted_found_and_killed() -> None:
    script = """
import os, subprocess, sys
from agent_base.processtree import become_subreaper, find_descendants, has_children, kill_descendants
become_subreaper()
subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
found = find_descendants(os.getpid())
kill_descendants()
print(len(found), has_children(), [pid for pid in found if os.path.exists(f"/proc/{pid}")])
"""
    assert run(script, DAEMON) == "1 False []\n"


def test_a_chain_of_sessions_is_killed_to_its_end() -> None:
    script = """
import os, subprocess, sys
from agent_base.processtree import become_subreaper, find_descendants, has_children, kill_descendants
become_subreaper()
command = [sys.executable, "-c", sys.argv[1], "3"]
child = subprocess.Popen(command, env={"CHAIN": sys.argv[1]}, stdout=subprocess.PIPE, start_new_session=True)
for _ in range(4): child.stdout.readline()
print(len(find_descendants(os.getpid())), end=" ")
kill_descendants()
print(has_children(), find_descendants(os.getpid()))
"""
    assert run(script, CHAIN) == "4 False []\n"


def test_a_child_dies_with_its_parent() -> None:
    script = """
import os, subprocess, sys
from agent_base.processtree import die_with_parent, load_prctl
load_prctl()
child = subprocess.Popen(["sleep", "600"], preexec_fn=die_with_parent, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL
    status = Path(f"/proc/{int(ended.stdout)}/stat")
    deadline = time.monotonic() + 10
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_exit_codes_of_children_are_collected() -> None:
    script = """
import os, subprocess, time
from agent_base.processtree import has_children, reap_children
first, second = os.fork(), 0
if first == 0: os._exit(7)
second = os.fork()
if second == 0: os.kill(os.getpid(), 15); time.sleep(60)
codes = {}
while has_children(): codes |= reap_children()
print(codes == {first: 7, second: -15}, reap_children())
"""
    assert run(script) == "True {}\n"


def test_collecting_ends_however_fast_others_end() -> None:
    script = """
import os
from agent_base.processtree import MOST_REAPED, reap_children
pids = []
for _ in range(MOST_REAPED + 10):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(len(reap_children()) == MOST_REAPED, len(reap_children()), reap_children())
"""
    assert run(script) == "True 10 {}\n"


def test_a_process_that_is_gone_is_passed_over() -> None:
    script = """
import os
from agent_base.processtree import find_descendants, send_signal, signal_group
pid = os.fork()
if pid == 0: os._exit(0)
os.waitpid(pid, 0)
signal_group(pid, 9); send_signal(pid, 9)
print(find_descendants(pid))
"""
    assert run(script) == "[]\n"


def test_nothing_that_costs_start_time_is_imported() -> None:
    script = "import sys; sys.path.insert(0, sys.argv[1]); import processtree; print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", script, str(Path(processtree.__file__).parent)]
    imported = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "processtree" in imported
    assert not {"ctypes", "contextlib", "pathlib", "typing", "re", "subprocess"} & set(imported)
