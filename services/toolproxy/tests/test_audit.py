import io
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from agent_base.redaction import Redactor
from agent_kit.logs import LogFormat, LogSettings, configure
from agent_toolproxy.call import Call
from agent_toolproxy.tools.audit import Audit, AuditRecord

SECRET = "correct-horse-battery-staple"


@pytest.fixture
def audit() -> Audit:
    redactor = Redactor()
    redactor.add(SECRET)
    return Audit(redactor)


@pytest.mark.parametrize("before", range(150, 202, 3))
def test_a_secret_is_not_shown_by_half_where_a_value_is_cut(audit: Audit, before: int) -> None:
    shown = audit.show({"text": "x" * before + SECRET + "y" * 300})

    assert "cor" not in shown
    assert json.loads(shown)["text"].endswith("...")


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": SECRET},
        {"list": [[{"deep": f"a {SECRET} b"}]]},
        {f"key of {SECRET}": 1},
        {"password": "hunter2hunter2"},
        {"args": ["--token", f"--token={SECRET}", "Authorization: Bearer hunter2hunter2"]},
    ],
)
def test_secrets_are_masked_wherever_they_are(audit: Audit, arguments: dict[str, Any]) -> None:
    shown = audit.show(arguments)

    assert SECRET not in shown
    assert "hunter2" not in shown


@pytest.mark.parametrize("length", [4296, 5000, 100_000])
@pytest.mark.parametrize("before", ["", "x" * 150, "short-c4nary " * 300])
def test_a_secret_that_is_longer_than_what_is_looked_at_is_not_begun(length: int, before: str) -> None:
    redactor = Redactor()
    secret = "".join(f"c4nary-{number}" for number in range(length))[:length]
    redactor.add(secret)
    redactor.add("short-c4nary")

    shown = Audit(redactor).show({"text": f"{before}{secret} and more", "again": secret})

    assert "c4nary" not in shown
    assert "..." in shown


@pytest.mark.parametrize(
    "name",
    ["-----BEGIN A-----", "?token=a&", "Cookie: abcdef", "Authorization: x", "://", "api_key=", "--token=", SECRET],
)
def test_a_name_hides_nothing_of_what_follows_it(audit: Audit, name: str) -> None:
    shown = json.loads(audit.show({"path": "README.md", name: 0, f"{name} ": 0, "command": "rm -rf /"}))

    assert (shown["path"], shown["command"]) == ("README.md", "rm -rf /")
    assert len(shown) == 4


def test_names_that_are_alike_once_they_are_masked_hide_none_of_each_other(audit: Audit) -> None:
    shown = json.loads(audit.show({"*** (2)": 1, f"{SECRET}": 2, "-----BEGIN A-----": 3, "***": 4, "x": 5}))

    assert sorted(shown.values()) == [1, 2, 3, 4, 5]


def test_a_name_costs_no_more_than_what_is_shown_of_it(audit: Audit) -> None:
    started = time.process_time()

    shown = audit.show({"?token=a&" * 466_033: 1, "password=" * 466_033: [{"://a@" * 100_000: "x"}]})

    assert time.process_time() - started < 1
    assert "..." in shown
    assert len(shown) <= 1000


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": "x" * 5000},
        {"list": ["x" * 150] * 50},
        {"numbers": list(range(10_000))},
        {f"key{number}": number for number in range(10_000)},
        {"objects": [{}] * 10_000},
        {"deep": [[[[[[[["end"]]]]]]]]},
        {"x" * 5000: 1},
    ],
)
def test_what_is_not_shown_is_marked(audit: Audit, arguments: dict[str, Any]) -> None:
    shown = audit.show(arguments)

    assert "..." in shown
    assert len(shown) <= 1000
    assert "end" not in shown


def test_control_characters_do_not_stay_what_they_are(audit: Audit) -> None:
    assert "\x1b" not in audit.show({"text": "\x1b[2Jfine\r\n"})


def test_large_arguments_cost_no_more_than_what_is_shown_of_them(audit: Audit) -> None:
    """Well under what looking through all of it takes, which is seconds."""
    large = {"list": ["x" * 4000] * 20_000, "more": {str(number): [number] * 5 for number in range(50_000)}}
    started = time.process_time()

    audit.show(large)

    assert time.process_time() - started < 1


@pytest.fixture
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("_restore")
@pytest.mark.parametrize("form", ["json", "text"])
async def test_a_line_has_what_a_record_of_the_log_has_and_no_secret(form: LogFormat) -> None:
    redactor, out = Redactor(), io.StringIO()
    redactor.add(SECRET)
    configure(LogSettings(format=form, fields={"component": "x"}), redactor, stream=out)
    audit = Audit(redactor)
    call = Call(arguments={"text": f"{SECRET}\x1b\u20ac\ud800"})
    audit.add(AuditRecord(f"tool-{SECRET}", call, "ok", 0.0123, "asked"))
    audit.flush()

    (line,) = out.getvalue().splitlines()
    assert SECRET not in line
    assert "\x1b" not in line
    if form == "json":
        found = json.loads(line)
        assert list(found)[:4] == ["time", "level", "logger", "message"]
        assert (found["tool"], found["via"], found["decision"]) == ("tool-***", "mcp", "asked")
        assert (found["outcome"], found["duration_ms"], found["component"]) == ("ok", 12.3, "x")
        assert found["arguments"].startswith('{"text": "***')
