import asyncio
import io
import json
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from agent_base.redaction import MASK, Redactor
from agent_kit.logs import LONGEST_FIELD, LogFormat, LogLevel, LogSettings, bind, configure

CANARY = "canary-value-0001"
log = logging.getLogger("test.logs")

Lines = Callable[[], list[dict[str, Any]]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fail() -> None:
    try:
        dict[str, str]()[CANARY]
    except KeyError as cause:
        raise RuntimeError(f"Bearer {CANARY}") from cause


def start(root: logging.Logger, level: LogLevel = "info", form: LogFormat = "json") -> io.StringIO:
    assert root is logging.getLogger()
    stream, redactor = io.StringIO(), Redactor()
    redactor.add(CANARY)
    configure(LogSettings(level, form), redactor, stream=stream)
    return stream


@pytest.fixture
def lines(root_logger: logging.Logger) -> Lines:
    stream = start(root_logger)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_json_line(lines: Lines) -> None:
    log.info("route %s failed\nsecond", "a", extra={"provider": "main-llm", "attempt": 2, "last": False})
    (line,) = lines()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "test.logs",
        "message": "route a failed\nsecond",
        "provider": "main-llm",
        "attempt": 2,
        "last": False,
    }


def test_levels_below_the_setting_are_left_out(lines: Lines) -> None:
    log.debug("no")
    log.critical("yes")
    assert [line["level"] for line in lines()] == ["error"]


async def test_bound_fields_are_on_every_record_inside_and_in_tasks(lines: Lines) -> None:
    async def work() -> None:
        log.info("in a task")

    with bind(reconcile_id="r1"), bind(key="ns/a"):
        await asyncio.create_task(work())
    log.info("outside")
    inside, outside = lines()
    assert (inside["reconcile_id"], inside["key"]) == ("r1", "ns/a")
    assert "reconcile_id" not in outside


def test_a_field_cannot_replace_one_of_ours(lines: Lines) -> None:
    with bind(level="fake", message="fake"):
        log.warning("real")
    (line,) = lines()
    assert (line["level"], line["message"], line["field_level"]) == ("warning", "real", "fake")


def test_a_secret_is_nowhere_in_a_line(lines: Lines) -> None:
    class Shown:
        def __str__(self) -> str:
            return f"object with {CANARY}"

    nested = {"list": [CANARY, {CANARY: CANARY}], "bytes": CANARY.encode(), "set": {CANARY}, "object": Shown()}
    try:
        fail()
    except RuntimeError:
        with bind(bound=CANARY, password="short", **{CANARY: 1}):
            log.exception("failed with %s", CANARY, extra={"nested": nested})
    (line,) = lines()
    assert CANARY not in json.dumps(line)
    assert line["password"] == MASK
    assert line["exception"] == f"RuntimeError: Bearer {MASK}"
    assert "KeyError" in line["stack"]


def test_a_secret_made_of_digits_is_masked_as_a_number(root_logger: logging.Logger) -> None:
    stream, redactor = io.StringIO(), Redactor()
    redactor.add("123456789")
    configure(LogSettings(format="json"), redactor, stream=stream)
    log.info("x", extra={"pin": 123456789, "port": 8801})
    line = json.loads(stream.getvalue())
    assert (line["pin"], line["port"]) == (MASK, 8801)


def test_arguments_that_do_not_fit_are_logged_and_masked(
    root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = start(root_logger)
    log.info("count %d", CANARY)
    line = json.loads(stream.getvalue())
    assert line["message"] == f"count %d ('{MASK}',)"
    assert CANARY not in "".join(capfd.readouterr())


def test_values_that_json_has_no_word_for(lines: Lines) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no")

    deep: list[Any] = []
    deep.append([[[[[[[["bottom"]]]]]]]])
    log.info("x", extra={"nan": float("nan"), "broken": Broken(), "deep": deep, "lone": "\udc80", "none": None})
    (line,) = lines()
    assert (line["nan"], line["broken"], line["none"]) == ("nan", "<unprintable Broken>", None)
    assert "bottom" in json.dumps(line["deep"])


def test_a_long_field_is_cut(lines: Lines) -> None:
    log.info("x" * (LONGEST_FIELD + 1))
    (line,) = lines()
    assert line["message"] == "x" * LONGEST_FIELD + f"... ({LONGEST_FIELD + 1} characters)"


def test_a_secret_that_the_cut_splits_is_not_shown_by_half(lines: Lines) -> None:
    pem = f"-----BEGIN CERTIFICATE-----{'x' * 65480}-----END CERTIFICATE-----"
    log.info("%s %s", pem, "half-of-a-secret" * 10)
    (line,) = lines()
    assert line["message"] == f"... ({len(pem) + 161} characters)"


def test_warnings_become_records(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(f"old {CANARY}", stacklevel=1)
    (line,) = lines()
    assert line["logger"] == "py.warnings"
    assert CANARY not in line["message"]


def test_a_stack_without_an_exception(lines: Lines) -> None:
    log.info("here", stack_info=True)
    (line,) = lines()
    assert "test_a_stack_without_an_exception" in line["stack"]


def test_text_is_one_readable_line(root_logger: logging.Logger) -> None:
    stream = start(root_logger, form="text")
    log.warning("slow\x1b[2J", extra={"provider": "main", "url": "a b", "seconds": 1.5})
    line = stream.getvalue()
    assert line.endswith("""WARNING test.logs: slow\\x1b[2J provider=main url="a b" seconds=1.5\n""")


def test_text_masks_secrets_and_shows_the_stack(root_logger: logging.Logger) -> None:
    stream = start(root_logger, form="text")
    try:
        fail()
    except RuntimeError:
        log.exception("failed")
    assert CANARY not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize("no_colour,coloured", [("", True), ("1", False)])
def test_a_terminal_gets_text_with_colours_unless_told_not_to(
    root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, no_colour: str, *, coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", no_colour)
    stream = Terminal()
    configure(LogSettings(), Redactor(), stream=stream)
    log.info("hello")
    assert "hello" in stream.getvalue()
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_a_closed_stream_costs_the_line_and_nothing_else(
    root_logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    stream = start(root_logger)
    stream.close()
    log.info("lost %s", CANARY)
    assert CANARY not in "".join(capfd.readouterr())


def test_every_json_line_says_whose_it_is_unless_the_record_does(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    whose = {"component": "agent-x", "agent": "one", "namespace": "team"}
    configure(LogSettings("info", "json", whose), Redactor(), stream=stream)
    root_logger.info("first")
    root_logger.info("second", extra={"agent": "two"})

    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert {key: first[key] for key in whose} == whose
    assert (second["agent"], second["component"]) == ("two", "agent-x")


def test_a_person_is_not_told_whose_log_it_is(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    configure(LogSettings("info", "text", {"component": "agent-x"}), Redactor(), stream=stream)
    root_logger.info("first")

    assert "agent-x" not in stream.getvalue()
