"""Runs one long command and says every few seconds that it still lives, and at what it is.

A build of minutes without a word is killed by whoever waits for it, be it a person or a CI runner.
"""

import collections
import os
import selectors
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import BuildError

NOTE_INTERVAL_S = 10.0
TAIL_LINES = 25


class Progress:
    """Counts the lines a command writes and prints a note when the last one is old enough."""

    def __init__(self, label: str, unit: str) -> None:
        self._label = label
        self._unit = unit
        self._started = self._noted = time.monotonic()
        self._lines = 0
        self.tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)

    def add(self, text: str) -> None:
        """Takes what the command wrote, whole lines or not."""
        for line in text.splitlines():
            if line.strip():
                self._lines += 1
                self.tail.append(line.strip())

    def note(self) -> None:
        """Prints a line if the last one is older than the interval."""
        now = time.monotonic()
        if now - self._noted < NOTE_INTERVAL_S:
            return
        self._noted = now
        latest = f", {self.tail[-1][:90]}" if self.tail else ""
        print(f"  {self._label}: {now - self._started:.0f} s, {self._lines} {self._unit}{latest}", flush=True)

    def finish(self) -> None:
        """Prints how long it took."""
        print(f"  {self._label}: done in {time.monotonic() - self._started:.1f} s", flush=True)


def run_noted(argv: Sequence[str], *, label: str, unit: str, cwd: Path, env: Mapping[str, str]) -> None:
    """Runs `argv` and prints notes under `label`; a line of its output counts as one `unit`.

    Raises BuildError, with the end of the output, when it fails.
    """
    progress = Progress(label, unit)
    with subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            _follow(process, progress)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise BuildError(f"{label}: {argv[0]} failed:\n" + "\n".join(progress.tail))
    progress.finish()


def _follow(process: subprocess.Popen[bytes], progress: Progress) -> None:
    if process.stdout is None:
        raise BuildError("the command has no output to follow")
    descriptor = process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            if selector.select(timeout=1.0):
                chunk = os.read(descriptor, 65536)
                if not chunk:
                    return
                progress.add(chunk.decode(errors="replace"))
            progress.note()
