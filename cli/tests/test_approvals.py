"""Calls that a rule asks about, in a run on this machine."""

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent_api import layout
from agent_api.toolsreport import ApprovalRequest
from agentberth.errors import CommandError
from agentberth.local.approvals import WAITING_FILE, ApprovalDesk, Ask
from agentberth.terminal import Terminal


def request(number: int, tool: str, arguments: str = "{}") -> ApprovalRequest:
    times = {"asked_at": "2026-11-29T11:00:00Z", "expires_at": "2026-11-29T12:00:00Z"}
    return ApprovalRequest(id=f"{number:016x}", tool=tool, hash=f"{number:064x}", arguments=arguments, **times)


async def decide(
    root: Path, *requests: ApprovalRequest, approved: tuple[str, ...] = (), ask: Ask | None = None
) -> tuple[list[str], str]:
    """The decisions in the order of `requests`, and what the user read."""
    config = wait_for_approval(root, requests)
    read = io.StringIO()
    await ApprovalDesk(root, approved, Terminal(read), ask).decide_waiting()
    return decisions_in(config), read.getvalue()


def wait_for_approval(root: Path, requests: tuple[ApprovalRequest, ...]) -> Path:
    """Put `requests` where the proxy does; the configuration that it reads."""
    waiting = Path(layout.relocate(layout.TOOLS, str(root)), WAITING_FILE)
    config = Path(layout.relocate(layout.CONFIG_TOOLS, str(root)), layout.TOOLS_KEY)
    for file in (waiting, config):
        file.parent.mkdir(parents=True)
    waiting.write_text(json.dumps([each.model_dump(mode="json") for each in requests]))
    config.write_text(json.dumps({"agent": "a"}))
    return config


def decisions_in(config: Path) -> list[str]:
    return [each["decision"] for each in json.loads(config.read_text())["decisions"]]


async def test_the_command_line_approves_by_tool_and_nobody_else_does(tmp_path: Path) -> None:
    decisions, read = await decide(
        tmp_path, request(1, "git__push"), request(2, "pay", '{"amount": 5}'), approved=("git__*",)
    )
    assert decisions == ["approved", "denied"]
    assert 'denied: pay {"amount": 5}; a rule asks for approval' in read


@pytest.mark.parametrize(
    "line, decision", [("y\n", "approved"), ("Yes\n", "approved"), ("\n", "denied"), ("", "denied")]
)
async def test_the_user_is_asked(tmp_path: Path, line: str, decision: str) -> None:
    async def answer() -> str:
        return line

    decisions, read = await decide(tmp_path, request(1, "pay", "\x1b[2J{}"), ask=answer)
    assert decisions == [decision]
    assert "approve? pay ?[2J{}  [y/N]" in read


async def test_the_console_decides_what_the_terminal_is_still_asked_about(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def never() -> str:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    read = io.StringIO()
    config = wait_for_approval(tmp_path, (request(1, "pay"), request(2, "pay", "{2}")))
    desk = ApprovalDesk(tmp_path, (), Terminal(read), never, console=True)
    working = asyncio.create_task(desk.decide_waiting())
    await asked.wait()

    with pytest.raises(CommandError, match="another call"):
        desk.decide(f"{1:016x}", "f" * 64, approved=True)
    desk.decide(f"{1:016x}", f"{1:064x}", approved=True)
    desk.decide(f"{2:016x}", f"{2:064x}", approved=False)
    await working

    assert decisions_in(config) == ["approved", "denied"]
    assert "approved in the console: pay {}" in read.getvalue()
    with pytest.raises(CommandError, match="no longer waits"):
        desk.decide(f"{1:016x}", f"{1:064x}", approved=False)


async def test_without_a_terminal_a_call_waits_for_the_console(tmp_path: Path) -> None:
    read = io.StringIO()
    config = wait_for_approval(tmp_path, (request(1, "pay", "\x1b[2J"),))
    desk = ApprovalDesk(tmp_path, (), Terminal(read), None, console=True)

    await desk.decide_waiting()
    await desk.decide_waiting()

    assert read.getvalue() == "waits for a decision in the console: pay ?[2J\n"
    assert "decisions" not in json.loads(config.read_text())
    desk.decide(f"{1:016x}", f"{1:064x}", approved=True)
    assert decisions_in(config) == ["approved"]


async def test_the_reason_of_a_rule_reaches_no_terminal_as_a_command(tmp_path: Path) -> None:
    asked = request(1, "pay").model_copy(update={"reason": "\x1b[8mdocs only\n"})
    _, read = await decide(tmp_path, asked)
    assert "denied: pay {} (?[8mdocs only?)" in read
    assert "\x1b" not in read


HOSTILE = "\x1b[1mdocs only\x1b[0m\n  {}\x1b[8m"


def test_a_hostile_author_hides_no_line_from_who_approves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"agent": "a", "tool": "pay", "reason": HOSTILE, "arguments": "{9}", "expiresAt": "2026-11-29T12:00:00Z"}
    document = {"items": [{"metadata": {"name": "one"}, "spec": spec}]}
    program = tmp_path / "kubectl"
    program.write_text(f"#!{sys.executable}\nprint({json.dumps(document)!r})\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    done = subprocess.run([sys.executable, "-m", "agentberth", "approvals"], capture_output=True, text=True, check=True)

    assert "\x1b" not in done.stdout
    assert [line.strip() for line in done.stdout.splitlines()][2:] == ["{9}"]
