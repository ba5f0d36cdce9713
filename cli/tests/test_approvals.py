"""Calls that a rule asks about, in a run on this machine."""

import io
import json
from pathlib import Path

import pytest

from agent_api import layout
from agent_api.toolsreport import ApprovalRequest
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
