import json
import time
from typing import Any

import pytest

from agent_base.redaction import Redactor
from agent_toolproxy.tools.audit import Audit

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
