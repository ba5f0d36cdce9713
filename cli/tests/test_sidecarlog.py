"""What a run shows of the sidecars' logs."""

import json

import pytest

from agentberth.errors import UsageError
from agentberth.local.sidecarlog import least_level, read_line, read_redis_line

CALL = {
    "time": "t",
    "level": "info",
    "message": "tool call",
    "tool": "git",
    "decision": "allowed",
    "outcome": "ok",
    "duration_ms": 12.3,
    "arguments": '{"args": ["log"]}',
}


@pytest.mark.parametrize(
    "record,shown",
    [
        (CALL, 'tool git {"args": ["log"]}: ok in 12 ms'),
        (
            {**CALL, "decision": "denied", "outcome": "tool_denied", "arguments": "x" * 200},
            f"tool git {'x' * 120}...: tool_denied (denied) in 12 ms",
        ),
        ({"level": "info", "message": "serving", "port": 1}, None),
        ({"level": "warning", "logger": "py.warnings", "message": "old"}, None),
        (
            {
                "time": "t",
                "level": "warning",
                "logger": "l",
                "message": "tool failed",
                "tool": "git",
                "reason": "it is",
            },
            'warning: tool failed tool=git reason="it is"',
        ),
    ],
)
def test_a_record_is_shown_as_a_sentence_when_it_is_about_the_agent(
    record: dict[str, object], shown: str | None
) -> None:
    assert read_line(json.dumps(record)) == shown


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "[1]", "{}", "3"])
def test_a_line_that_is_no_record_stays(line: str) -> None:
    assert read_line(line) == line


def test_what_redis_prints_at_each_start_is_left_out() -> None:
    assert read_redis_line("7:M 1 Jan 2026 # Server initialized") is None
    assert read_redis_line("7:M 1 Jan 2026 # Can't save in background: fork: out of memory") is not None


def test_a_lower_level_shows_what_else_the_sidecars_log() -> None:
    line = json.dumps({"level": "info", "message": "serving", "port": 1})

    assert read_line(line, least_level({"AGENTBERTH_LOG_LEVEL": "INFO"})) == "info: serving port=1"
    assert read_line(line, least_level({"AGENTBERTH_LOG_LEVEL": "error"})) is None
    with pytest.raises(UsageError, match="'loud' is not a log level"):
        least_level({"AGENTBERTH_LOG_LEVEL": "loud"})
