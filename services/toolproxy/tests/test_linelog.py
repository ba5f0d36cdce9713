import logging

import pytest

from agent_base.redaction import LineRedactor, Redactor
from agent_toolproxy.mcp.linelog import BURST_LINES, LONGEST_LINE_CHARS, LineLog


def mask(text: str) -> str:
    return text.replace("s3cret", "***")


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.line for record in caplog.records if hasattr(record, "line")]


def test_lines_are_logged_whole_masked_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = LineLog("up", mask)
    log.feed(b"a s3c")
    log.feed(b"ret of mine\n\n  \n" + b"x" * (LONGEST_LINE_CHARS - 3) + b"s3cret\xff tail")
    assert logged(caplog) == ["a *** of mine"]
    log.close()
    assert logged(caplog)[1] == "x" * (LONGEST_LINE_CHARS - 3) + "***"
    assert log.last_line == logged(caplog)[1]


KEY = "-----BEGIN PRIVATE KEY-----\nc4naryFirst\nc4naryLast\n-----END PRIVATE KEY-----\n"
KUBECONFIG = "users:\n- name: robot\n  user: {token: c4nary-token}\n"


@pytest.mark.parametrize("secret,registered", [(KEY, True), (KEY, False), (KUBECONFIG, True)])
def test_a_secret_of_several_lines_is_in_none_of_them(
    caplog: pytest.LogCaptureFixture,
    secret: str,
    registered: bool,
) -> None:
    caplog.set_level(logging.INFO)
    redactor = Redactor()
    if registered:
        redactor.add(secret)
    log = LineLog("up", LineRedactor(redactor).redact)
    log.feed(f"starting\n{secret}".encode())
    log.close()
    assert "starting" in logged(caplog)
    assert "c4nary" not in "".join((*logged(caplog), log.last_line))


def test_a_line_without_an_end_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = LineLog("up", mask)
    for _ in range(100):
        log.feed(b"y" * 100_000)
    log.close()
    assert logged(caplog) == ["y" * LONGEST_LINE_CHARS]


def test_a_flood_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    log = LineLog("up", mask, clock=lambda: now[0])
    log.feed(b"z\n" * 20_000)
    assert len(logged(caplog)) == BURST_LINES
    now[0] += 1.0
    log.feed(b"after\n")
    assert logged(caplog)[-1] == "after"
    assert [record.lines for record in caplog.records if hasattr(record, "lines")] == [20_000 - BURST_LINES]
