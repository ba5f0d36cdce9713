"""The supervisor over real processes; what they are does not matter to it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testcluster.components.component import Component
from testcluster.errors import CommandError, NotReadyError, NotUpError
from testcluster.home import Home
from testcluster.supervision import SupervisorClient, is_up, launch, log_tail

SLEEPER = Component("sleeper", ("sleep", "1000"))
STUBBORN = Component(
    "stubborn",
    (sys.executable, "-c", "import signal, time; signal.signal(signal.SIGUSR1, signal.SIG_IGN); time.sleep(1000)"),
)


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / ("long" * 40))
    made.prepare()
    yield made
    if is_up(made):
        SupervisorClient(made).end()


@pytest.fixture
def supervisor(home: Home) -> SupervisorClient:
    return launch(home)


def pid_of(supervisor: SupervisorClient, name: str) -> int:
    return int(supervisor.status()[name]["pid"])


def test_a_component_starts_once_and_is_seen(supervisor: SupervisorClient) -> None:
    supervisor.start(SLEEPER)
    assert supervisor.status()["sleeper"]["running"]
    with pytest.raises(CommandError, match="runs already"):
        supervisor.start(SLEEPER)


def test_a_stopped_component_starts_again_as_it_was(supervisor: SupervisorClient) -> None:
    supervisor.start(SLEEPER)
    former = pid_of(supervisor, "sleeper")
    supervisor.stop("sleeper")
    assert supervisor.status()["sleeper"] == {"pid": former, "running": False, "exitCode": -signal.SIGTERM}
    supervisor.start_again("sleeper")
    assert pid_of(supervisor, "sleeper") != former
    assert supervisor.status()["sleeper"]["running"]


def test_a_component_can_be_killed(supervisor: SupervisorClient) -> None:
    supervisor.start(SLEEPER)
    supervisor.stop("sleeper", number=signal.SIGKILL)
    assert supervisor.status()["sleeper"]["exitCode"] == -signal.SIGKILL


def test_a_component_can_be_frozen_and_woken(supervisor: SupervisorClient) -> None:
    supervisor.start(SLEEPER)
    status = Path(f"/proc/{pid_of(supervisor, 'sleeper')}/status")
    supervisor.send("sleeper", signal.SIGSTOP)
    assert eventually(lambda: "State:\tT" in status.read_text())
    assert supervisor.status()["sleeper"]["running"]
    supervisor.send("sleeper", signal.SIGCONT)
    assert eventually(lambda: "State:\tS" in status.read_text())


def test_one_that_does_not_heed_the_signal_is_killed(
    supervisor: SupervisorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("testcluster.supervision.STOP_GRACE_S", 0.5)
    supervisor.start(STUBBORN)
    ignoring = Path(f"/proc/{pid_of(supervisor, 'stubborn')}/status")
    bit = 1 << (signal.SIGUSR1 - 1)
    assert eventually(lambda: int(ignoring.read_text().partition("SigIgn:\t")[2].split()[0], 16) & bit != 0)
    supervisor.stop("stubborn", number=signal.SIGUSR1)
    assert supervisor.status()["stubborn"]["exitCode"] == -signal.SIGKILL


def test_an_unknown_component_is_an_error(supervisor: SupervisorClient) -> None:
    with pytest.raises(CommandError, match="never started"):
        supervisor.start_again("nothing")
    with pytest.raises(CommandError, match="never started"):
        supervisor.stop("nothing")


def test_an_early_end_is_reported_with_the_log(home: Home, supervisor: SupervisorClient) -> None:
    supervisor.start(Component("broken", ("sh", "-c", "echo no such flag >&2; exit 3")))
    assert eventually(lambda: not supervisor.status()["broken"]["running"])
    with pytest.raises(NotReadyError, match="broken ended with 3:\nno such flag"):
        supervisor.check_alive()
    supervisor.check_alive("sleeper")
    assert log_tail(home, "broken") == "no such flag"


def test_the_end_takes_everything_along(home: Home, supervisor: SupervisorClient) -> None:
    supervisor.start(SLEEPER)
    pids = [supervisor.pid(), pid_of(supervisor, "sleeper")]
    supervisor.end()
    assert not [pid for pid in pids if is_alive(pid)]
    with pytest.raises(NotUpError):
        supervisor.status()
    assert not is_up(home)


def test_a_killed_supervisor_leaves_no_process_and_can_be_replaced(home: Home, supervisor: SupervisorClient) -> None:
    supervisor.start(SLEEPER)
    child = pid_of(supervisor, "sleeper")
    os.kill(supervisor.pid(), signal.SIGKILL)
    assert eventually(lambda: not is_alive(child))
    assert eventually(lambda: not is_up(home))
    assert launch(home).status() == {}


def test_the_end_of_the_owner_is_the_end_of_all(home: Home) -> None:
    with subprocess.Popen(["sleep", "1000"]) as owner:
        supervisor = launch(home, owner_pid=owner.pid)
        supervisor.start(SLEEPER)
        pids = [supervisor.pid(), pid_of(supervisor, "sleeper")]
        owner.kill()
    assert eventually(lambda: not [pid for pid in pids if is_alive(pid)])


def test_an_owner_that_is_not_there_is_an_error(home: Home) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    with pytest.raises(CommandError, match=f"--owner-pid {ended.pid}"):
        launch(home, owner_pid=ended.pid)


def test_a_second_supervisor_is_refused(home: Home, supervisor: SupervisorClient) -> None:
    first = supervisor.pid()
    argv = [sys.executable, "-m", "testcluster.supervisor", f"--run-dir={home.run}", f"--log-dir={home.log}"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}
    second = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert "another supervisor holds" in second.stdout
    assert supervisor.pid() == first
