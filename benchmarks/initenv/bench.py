"""How long agent-initenv takes to say that there is nothing to do: one table, ratios from one run.

    uv run python benchmarks/initenv/bench.py [ROUNDS]

Every row is the median of ROUNDS (default 15) runs taken in turn, so that a busy machine is busy for all of
them. The first run of each, which compiles and reads from disk, is not counted.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("agent-initenv"))
FILES = [{"path": f"/shared/files/{number}", "content": f"{number}\n"} for number in range(20)]
PLANS = {
    "empty": {"agent": "empty"},
    "full": {
        "agent": "full",
        "files": [*FILES, {"path": "/shared/glue.py", "content": ""}],
        "code": {"kind": "local", "folder": "/etc/agentberth/code"},
        "packages": {"runtime": "python", "requirements": []},
        "glue": {"runtime": "python", "source": "/shared/glue.py"},
        "setup": [{"name": "once", "command": ["true"]}],
    },
}


def write_pod(root: Path, plan: object) -> Path:
    """A folder that stands for the Pod's volumes, with 200 files of code."""
    (root / "etc/agentberth/init").mkdir(parents=True)
    (root / "etc/agentberth/init/init.json").write_text(json.dumps(plan))
    (root / "etc/agentberth/code").mkdir()
    for number in range(200):
        (root / f"etc/agentberth/code/module_{number}.py").write_text(f"X = {number}\n")
    return root


def environment() -> dict[str, str]:
    """With compiled modules, as in the image."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def whole_run(*command: str) -> Callable[[], float]:
    """Milliseconds of a command from start to end."""

    def measure() -> float:
        started = time.perf_counter()
        subprocess.run(command, env=environment(), check=True, capture_output=True)
        return (time.perf_counter() - started) * 1000

    return measure


def until_first_step(root: Path) -> Callable[[], float]:
    """Milliseconds from the start of the program to the line that announces its first step."""

    def measure() -> float:
        started = time.perf_counter()
        command = [PROGRAM, "--root", str(root)]
        with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
            assert run.stderr is not None
            assert run.stderr.readline().startswith(b"initenv files")
            return (time.perf_counter() - started) * 1000

    return measure


def main(rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        empty = write_pod(Path(folder) / "empty", PLANS["empty"])
        full = write_pod(Path(folder) / "full", PLANS["full"])
        measures = {
            "python -c pass": whole_run(sys.executable, "-c", "pass"),
            "start to first step": until_first_step(full),
            "empty plan, whole run": whole_run(PROGRAM, "--root", str(empty)),
            "nothing to do, five steps": whole_run(PROGRAM, "--root", str(full)),
        }
        for measure in measures.values():
            measure()
        taken: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(rounds):
            for name, measure in measures.items():
                taken[name].append(measure())
    base = statistics.median(taken["python -c pass"])
    print(f"{'':<28}{'median ms':>10}{'least ms':>10}{'ratio':>8}   budget")
    budgets = {"start to first step": "<= 150 ms", "nothing to do, five steps": "<= 300 ms"}
    for name, values in taken.items():
        middle = statistics.median(values)
        print(f"{name:<28}{middle:>10.0f}{min(values):>10.0f}{middle / base:>8.1f}   {budgets.get(name, '')}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
