"""Runs a driver for each task that comes in, in a fork: the client's packages are imported once, and nothing is shared.

`python serve.py DRIVER PACKAGE...`; a task is a line of JSON, and so is the answer: `status`, and what was printed.
"""

import importlib
import json
import os
import runpy
import sys
import tempfile
import traceback
from pathlib import Path


def run(driver: str, task: str) -> dict[str, object]:
    with tempfile.NamedTemporaryFile("r", suffix=".out") as out:
        pid = os.fork()
        if pid == 0:
            _run_here(driver, task, out.name)
        _, status = os.waitpid(pid, 0)
        return {"status": os.waitstatus_to_exitcode(status), "printed": Path(out.name).read_text()}


def _run_here(driver: str, task: str, out: str) -> None:
    status = 1
    try:
        with Path(out).open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.argv = [driver, task]
        runpy.run_path(driver, run_name="__main__")
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is goes to the test
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(sys.argv[1]).parent))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(run(sys.argv[1], line)) + "\n")
        answers.flush()
