import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agent_api.initreport import InitFault
from agent_base.redaction import Redactor
from agent_initenv.command import Options
from agent_initenv.errors import InterruptionError
from agent_initenv.progress import Progress
from agent_initenv.retry import SystemClock
from agent_initenv.session import Session


class FaultyEnvironment(Mapping[str, str]):
    """Fails when it is read: the first thing that a session does between its steps and its handlers."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getitem__(self, name: str) -> str:
        raise self._error

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "error, code, fault, cause",
    [
        (RuntimeError("a bug"), 1, InitFault.UNEXPECTED, "RuntimeError: a bug"),
        (InterruptionError(15), 143, InitFault.INTERRUPTED, "The run was asked to end."),
        (
            OSError(28, "No space left on device", "/shared"),
            1,
            InitFault.DISK_FULL,
            "There is no room to write /shared.",
        ),
    ],
)
def test_whatever_happens_outside_of_steps_is_reported(
    tmp_path: Path, error: BaseException, code: int, fault: InitFault, cause: str
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"agent": "tested"}))
    options = Options(plan, str(tmp_path), None, tmp_path / "cache", tmp_path / "tmp")
    redactor = Redactor()
    stream = io.StringIO()
    progress = Progress(stream, redactor, colour=False)
    report, exit_code = Session(options, FaultyEnvironment(error), progress, redactor, SystemClock()).prepare()
    assert exit_code == code
    assert report.error is not None
    assert (report.error.fault, report.error.cause, report.error.step) == (fault, cause, "plan")
    assert cause in stream.getvalue()
