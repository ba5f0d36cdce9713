"""Two setups of one tree take turns: at once they would leave a broken .venv."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).resolve().parents[1] / "bootstrap"

UV = """#!/bin/sh
if [ "$1" = --version ]; then echo "uv {version}"; exit; fi
mkdir .syncing || exit 7
while [ ! -e .go ]; do sleep 0.05; done
rmdir .syncing
echo synced >> .venv.log
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree whose uv fails when it is run twice at once, and ends when there is `.go`."""
    version = next(line for line in BOOTSTRAP.read_text().splitlines() if line.startswith("uv_version="))
    (tmp_path / "hack").mkdir()
    shutil.copy(BOOTSTRAP, tmp_path / "hack")
    uv = tmp_path / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(UV.format(version=version.partition("=")[2]))
    uv.chmod(0o755)
    return tmp_path


def start(tree: Path, what: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([str(tree / "hack" / "bootstrap"), what], stderr=subprocess.PIPE, text=True)


def start_syncing(tree: Path) -> "subprocess.Popen[str]":
    setup = start(tree, "dev")
    while not (tree / ".syncing").is_dir():
        assert setup.poll() is None
        time.sleep(0.02)
    return setup


def test_a_second_setup_waits_for_the_first_and_says_so(tree: Path) -> None:
    first, second = start_syncing(tree), start(tree, "demo")
    assert second.stderr is not None
    assert second.stderr.readline() == "setup: waiting for another setup\n"
    assert second.poll() is None
    (tree / ".go").touch()

    assert [each.communicate(timeout=60)[1] for each in (first, second)] == ["setup: packages\n"] * 2
    assert (first.returncode, second.returncode) == (0, 0)
    assert (tree / ".venv.log").read_text() == "synced\n" * 2


def test_what_a_killed_setup_left_running_is_waited_for_and_nothing_else(tree: Path) -> None:
    first = start_syncing(tree)
    first.kill()
    first.wait(60)
    second = start(tree, "dev")
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    (tree / ".go").touch()
    second.communicate(timeout=60)
    first.communicate(timeout=60)

    assert second.returncode == 0


def test_an_unknown_word_is_refused_before_anything_is_made(tree: Path) -> None:
    setup = start(tree, "everything")

    assert "usage: hack/bootstrap" in setup.communicate(timeout=60)[1]
    assert setup.returncode == 2
