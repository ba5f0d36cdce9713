from hypothesis import given
from hypothesis import strategies as st

from agent_api.initreport import InitError, InitFault, InitReport, StepReport
from agent_api.layout import TERMINATION_LOG_BYTES

text = st.text(max_size=3000)


@given(
    versions=st.dictionaries(st.text(max_size=60), st.text(max_size=20), max_size=120),
    cause=text,
    cure=text,
    detail=text,
)
def test_a_report_always_fits_the_termination_message(
    versions: dict[str, str], cause: str, cure: str, detail: str
) -> None:
    report = InitReport(
        agent="a" * 52,
        outcome="failed",
        seconds=1.0,
        steps=tuple(StepReport(name="code", outcome="done", seconds=0.1, detail=detail) for _ in range(5)),
        versions=versions,
        error=InitError(step="code", fault=InitFault.UNEXPECTED, cause=cause, cure=cure),
    )

    line = report.line()

    assert len(line.encode()) <= TERMINATION_LOG_BYTES
    assert "\n" not in line
    read = InitReport.model_validate_json(line)
    assert read.error is not None
    assert read.error.fault is InitFault.UNEXPECTED
    assert read.truncated or read == report


def test_a_report_that_fits_is_kept_whole() -> None:
    report = InitReport(agent="a", outcome="succeeded", seconds=0.5, versions={"requests": "2.32.0"})

    assert InitReport.model_validate_json(report.line()) == report


def test_a_reader_passes_over_what_a_newer_writer_adds() -> None:
    line = '{"agent": "a", "outcome": "succeeded", "seconds": 1, "later": true}'

    assert InitReport.model_validate_json(line).outcome == "succeeded"
