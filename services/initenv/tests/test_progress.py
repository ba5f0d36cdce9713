import io

import pytest

from agent_api.initreport import InitError, InitFault, StepReport
from agent_base.redaction import Redactor
from agent_initenv.progress import Progress, readable_size


@pytest.mark.parametrize(
    "size_bytes, text",
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (310_000_000, "310.0 MB"), (2_500_000_000, "2.5 GB")],
)
def test_sizes(size_bytes: int, text: str) -> None:
    assert readable_size(size_bytes) == text


def test_progress_masks_and_colours() -> None:
    stream = io.StringIO()
    redactor = Redactor()
    redactor.add("canary")
    progress = Progress(stream, redactor, colour=True)
    progress.start("code", "canary\nmore")
    progress.end(StepReport(name="code", outcome="failed", seconds=1.5, size_bytes=1200, detail="the detail"))
    progress.explain(InitError(step="code", fault=InitFault.UNEXPECTED, cause="canary", cure="wait"))
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["initenv code     ***", "initenv code     more"]
    assert lines[2] == "\x1b[31minitenv code     failed in 1.50 s, 1.2 kB (the detail)\x1b[0m"
    assert lines[3:] == [
        "\x1b[31minitenv code     Unexpected: ***\x1b[0m",
        "\x1b[31minitenv code     what to do: wait\x1b[0m",
    ]
