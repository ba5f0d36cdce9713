import asyncio
import json
import logging
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agent_kit.logs import LogSettings
from agent_kit.service import Stop, launch, run
from agent_kit.settings import ServiceSettings, setting, settings

PROGRAM = Path(__file__).with_name("kit_program.py")
WAYS: dict[str, Callable[[Stop], Awaitable[int | None]]] = runpy.run_path(str(PROGRAM))["WAYS"]
LOOPS = ("uvloop", "asyncio")
Lines = list[dict[str, Any]]


class Program:
    """The program as a process, past its first line."""

    def __init__(self, loop: str, way: str, *options: str) -> None:
        argv = [sys.executable, str(PROGRAM), loop, way, *options]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        first = json.loads(self.wait_for('"ready"'))
        assert first["loop"].startswith(loop)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait_for(self, words: str) -> str:
        """The next line with `words`."""
        assert self._process.stdout is not None
        while words not in (line := self._process.stdout.readline()):
            assert line, f"ended without {words!r}"
        return line

    def end(self) -> tuple[int, Lines]:
        """Exit code and the lines since the last one read; every line is JSON and no traceback is loose."""
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            out = stream.read()  # not communicate(): it passes over what readline() has buffered
        assert "c4nary" not in out
        return self._process.wait(timeout=30), [json.loads(line) for line in out.splitlines()]


def messages(lines: Lines, level: str) -> list[str]:
    return [line["message"] for line in lines if line["level"] == level]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_main_return_with_its_own_code(loop: str, number: signal.Signals) -> None:
    program = Program(loop, "tidy", "patient")
    program.send(number)
    code, lines = program.end()
    assert code == 7
    assert messages(lines, "info") == [f"stopping: {number.name}", "tidied up"]
    assert lines[1]["check"] == f"stopping: {number.name}"


@pytest.mark.parametrize("loop", LOOPS)
def test_work_that_outlasts_the_grace_period_is_cut_off(loop: str) -> None:
    program = Program(loop, "slow")
    program.send(signal.SIGTERM)
    code, lines = program.end()
    assert code == 1
    assert messages(lines, "error") == ["program did not stop within 0.2 s: cutting off what still runs"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", ["deaf", "deaf_task", "thread"])
def test_what_ignores_its_cancellation_does_not_keep_the_process(loop: str, way: str) -> None:
    program = Program(loop, way)
    program.send(signal.SIGTERM)
    code, lines = program.end()
    assert code == 1
    assert messages(lines, "error")[-1].startswith("program did not end: something ignores its cancellation")


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(loop: str, second: signal.Signals) -> None:
    program = Program(loop, "slow", "patient")
    program.send(signal.SIGTERM)
    program.wait_for("stopping")
    program.send(second)
    assert program.end() == (128 + second, [])


@pytest.mark.parametrize("loop", LOOPS)
def test_a_connection_that_its_peer_ended_is_no_error_of_the_loop(loop: str) -> None:
    code, lines = Program(loop, "faults_of_the_loop").end()
    assert code == 0
    assert messages(lines, "error") == ["Exception in callback"]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("way", ["crash", "crash_task"])
def test_a_crash_of_any_task_is_one_line_and_exit_code_1(loop: str, way: str) -> None:
    code, lines = Program(loop, way).end()
    assert code == 1
    assert messages(lines, "error") == ["program stopped by an error: ValueError: bad ***"]
    assert not [line for line in lines if "stack" in line]


def test_a_crash_while_stopping_counts() -> None:
    program = Program("asyncio", "crash_while_stopping")
    program.send(signal.SIGTERM)
    code, lines = program.end()
    assert code == 1
    assert messages(lines, "error") == ["program stopped by an error: RuntimeError: too late"]


def test_the_traceback_is_there_at_level_debug() -> None:
    _, lines = Program("asyncio", "crash", "debug").end()
    (stack,) = [line["stack"] for line in lines if "stack" in line]
    assert 'raise ValueError(f"bad {CANARY}")' in stack
    assert stack.endswith("ValueError: bad ***")


def run_here(way: str) -> tuple[int, list[tuple[str, str]]]:
    """The way's exit code and records, inside this process."""
    records: list[tuple[str, str]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append((record.levelname, record.getMessage()))

    async def main(stop: Stop) -> int | None:
        logging.getLogger().handlers[:] = [Keep()]
        return await WAYS[way](stop)

    return run(main, name="p", grace_s=0.2, cleanup_s=5, log=LogSettings(format="json")), records


@pytest.mark.usefixtures("root_logger")
@pytest.mark.parametrize(
    "way,code,records",
    [
        ("finish", 0, [("INFO", "tidied up")]),
        ("own_request", 3, [("INFO", "stopping: nothing left to do")]),
        ("crash", 1, [("ERROR", "p stopped by an error: ValueError: bad c4nary-value")]),
        (
            "crash_task",
            1,
            [("INFO", "tidied up"), ("ERROR", "p stopped by an error: ValueError: bad c4nary-value")],
        ),
        ("known_error", 1, [("ERROR", "p stopped by an error: the port is taken; set another")]),
        ("bad_settings", 2, [("ERROR", "p cannot start: A='x' is wrong"), ("ERROR", "p cannot start: B='y' is wrong")]),
        ("cancel_itself", 1, [("ERROR", "p stopped: its main task was cancelled from inside")]),
    ],
)
def test_exit_codes_and_lines(way: str, code: int, records: list[tuple[str, str]]) -> None:
    assert run_here(way) == (code, records)


@pytest.mark.usefixtures("root_logger")
def test_a_signal_to_this_process() -> None:
    async def main(stop: Stop) -> None:
        assert stop.check() is None
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        assert stop.requested
        assert stop.reason == "SIGTERM"
        await asyncio.sleep(60)

    assert run(main, name="p", grace_s=0.05, cleanup_s=5) == 1


@settings
class ExampleSettings(ServiceSettings):
    """One more than the shared ones."""

    size: int = setting(1, "How many.", at_least=1)


async def give_size(given: ExampleSettings, stop: Stop) -> int:
    return given.size


def start(*argv: str, **environ: str) -> int:
    return launch(give_size, ExampleSettings, name="agent-example", argv=argv, environ=environ)


@pytest.mark.usefixtures("root_logger")
def test_launch_gives_main_its_settings() -> None:
    assert start("--size=5") == 5
    assert start(AGENTBERTH_SIZE="6", AGENTBERTH_LOG_LEVEL="error") == 6
    assert logging.getLogger().level == logging.ERROR


def test_settings_that_are_not_usable_are_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert start("--size=0", AGENTBERTH_OPS_PORT="high") == 2
    assert capsys.readouterr().err.splitlines() == [
        "agent-example: AGENTBERTH_OPS_PORT='high' is not allowed: it must be a whole number from 0 up to 65535",
        "agent-example: --size='0' is not allowed: it must be a whole number from 1",
    ]


def test_help_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert start("--size=0", "--help") == 0
    assert "--ops-port" in capsys.readouterr().out


def test_this_processes_arguments_and_environment_are_the_default(
    monkeypatch: pytest.MonkeyPatch, root_logger: logging.Logger
) -> None:
    monkeypatch.setattr(sys, "argv", ["agent-example"])
    monkeypatch.setenv("AGENTBERTH_SIZE", "9")
    assert launch(give_size, ExampleSettings, name="agent-example") == 9
