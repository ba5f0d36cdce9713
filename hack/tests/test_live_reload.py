"""hack/tilt/live.py as a process, around a program that says what it imports."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LIVE = Path(__file__).resolve().parents[1] / "tilt" / "live.py"
PROGRAM = "import berth_word, sys, time; print(berth_word.WORD, flush=True); time.sleep(600)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "live").mkdir()
    (tmp_path / "live" / "berth_word.py").write_text("WORD = 'first'")
    return tmp_path / "live"


@pytest.fixture
def running(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, str(LIVE), str(folder), sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def said_after_restart(process: "subprocess.Popen[str]") -> str:
    """The program's first line after it was started again, once or more: a file may be seen half written."""
    line = said(process)
    assert line.startswith("live: ")
    while line.startswith("live: "):
        line = said(process)
    return line


def test_a_change_starts_the_program_again_with_what_was_copied(running: "subprocess.Popen[str]", folder: Path) -> None:
    assert said(running) == "first"
    (folder / "berth_word.py").write_text("WORD = 'second one'")
    assert said_after_restart(running) == "second one"


def test_the_end_of_the_container_is_the_end_of_the_program(running: "subprocess.Popen[str]") -> None:
    assert said(running) == "first"
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 128 + signal.SIGTERM


def test_a_change_that_does_not_run_is_mended_by_the_next(running: "subprocess.Popen[str]", folder: Path) -> None:
    assert said(running) == "first"
    (folder / "berth_word.py").write_text("print('not yet', flush=True); raise SystemExit(1)")
    assert said_after_restart(running) == "not yet"
    (folder / "berth_word.py").write_text("WORD = 'mended at last'")
    assert said_after_restart(running) == "mended at last"


def test_the_end_of_a_program_that_nobody_changed_is_told_by_its_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, str(LIVE), str(tmp_path / "nothing"), sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(command, check=False, timeout=60).returncode == 7
