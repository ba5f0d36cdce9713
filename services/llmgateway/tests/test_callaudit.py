"""The line of a model call: what it says, what it may not say, and that it is as the log's own lines are."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from agent_base.redaction import Redactor
from agent_kit.logs import LogSettings, configure
from agent_llmgateway.http.callaudit import CallAudit
from agent_llmgateway.http.callrecord import CallRecord
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.wire.usage import Usage

SECRET = "correct-horse-battery"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ANSWERED = AttemptRecord("standby", "steady", "answered", 200, key="api-key")
LIMITED = AttemptRecord("flagship", "grand", "rate_limited", 429, f"wait, {SECRET}")
FIELDS = {"component": "agent-llmgateway", "agent": "pilot"}


def record(**given: Any) -> CallRecord:
    told = {
        "at_s": 1_780_000_000.0,
        "duration_s": 1.5,
        "operation": "chat",
        "requested": "auto",
        "stream": False,
        "tries": [ANSWERED],
        "error": "",
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "own_span": False,
    }
    return CallRecord(**{**told, **given})


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


async def written(*records: CallRecord, form: str = "json", level: str = "info") -> str:
    redactor, out = Redactor(), io.StringIO()
    redactor.add(SECRET)
    configure(LogSettings(level, form, FIELDS), redactor, stream=out)  # type: ignore[arg-type]
    audit = CallAudit(redactor)
    for each in records:
        audit.add(each)
    audit.flush()
    return out.getvalue()


async def test_a_line_tells_who_answered_why_not_the_first_and_what_it_took() -> None:
    usage = Usage(120, 30, 100)
    out = await written(
        record(tries=[LIMITED, ANSWERED], usage=usage, micro_usd=1500, first_output_s=0.25, stream=True)
    )

    assert json.loads(out) == {
        "time": "2026-05-28T20:26:40.000Z",
        "level": "info",
        "logger": "agent_llmgateway.http.callaudit",
        "message": "model call",
        "operation": "chat",
        "requested": "auto",
        "outcome": "answered",
        "duration_ms": 1500.0,
        "provider": "standby",
        "model": "steady",
        "stream": True,
        "status": 200,
        "failed_tries": [{"provider": "flagship", "outcome": "rate_limited", "status": 429}],
        "first_token_ms": 250.0,
        "input_tokens": 120,
        "output_tokens": 30,
        "cached_tokens": 100,
        "usd": 0.0015,
        "trace_id": TRACE,
        **FIELDS,
    }


@pytest.mark.parametrize("form", ["json", "text"])
async def test_what_an_agent_or_a_provider_wrote_is_masked_and_stays_in_its_line(form: str) -> None:
    hostile = f'{SECRET}"}}\n{{"level":"error\ud83d'
    failed = record(requested=hostile, tries=[LIMITED], error="AllRoutesError")
    broken = record(broken=f"cut: {SECRET} " + "x" * 5000)
    out = await written(failed, broken, form=form)

    assert SECRET not in out
    assert out.count("\n") == 2
    assert max(map(len, out.splitlines())) < 2000
    if form == "json":
        first, second = (json.loads(line) for line in out.splitlines())
        assert (first["outcome"], first["level"], first["error"]) == ("failed", "info", "wait, ***")
        assert second["outcome"] == "broken"


async def test_no_line_is_lost_nor_written_below_its_level() -> None:
    assert (await written(*[record()] * 500)).count("model call") == 500
    assert await written(record(), level="warning") == ""


async def test_text_of_a_person_has_the_same_fields() -> None:
    out = await written(record(), form="text")

    assert "model call" in out
    assert "provider=standby" in out
