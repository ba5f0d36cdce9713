"""Runs a program that imports from a folder first, and starts it again when the folder changes.

For Tilt's live update of containers: the program is a child of the container's first process, so that its end does
not end the container, which would lose what was copied. Standard library only: it is in every image.
Usage: live.py FOLDER PROGRAM [ARGUMENT...]
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

LOOK_S = 0.5
STOP_S = 10.0
Seen = Mapping[Path, int]


def snapshot(folder: Path) -> Seen:
    """Times of change of the Python files below `folder`."""
    seen = {}
    for path in folder.rglob("*.py"):
        with contextlib.suppress(OSError):  # while it is being copied
            seen[path] = path.stat().st_mtime_ns
    return seen


def start(folder: Path, command: list[str]) -> "subprocess.Popen[bytes]":
    """The program, with `folder` before what its image has."""
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(folder)})


def stop(child: "subprocess.Popen[bytes]") -> None:
    """Ends the program, by force when it does not go."""
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main(folder: Path, command: list[str]) -> int:
    """Runs until the program ends or this process is told to; returns the program's exit code.

    Once something was copied, the end of the program is a fault of the change: the next change mends it.
    """
    told: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    signal.signal(signal.SIGTERM, remember)
    signal.signal(signal.SIGINT, remember)
    seen, child = snapshot(folder), start(folder, command)
    while not told and (seen or child.poll() is None):
        time.sleep(LOOK_S)
        now = snapshot(folder)
        if now != seen:
            print(f"live: {folder} has changed, starting {command[0]} again", flush=True)
            stop(child)
            seen, child = now, start(folder, command)
    if child.poll() is None:
        stop(child)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode  # a signal, as a shell tells it


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
