import asyncio
import logging
from pathlib import Path

import pytest

from agent_base.redaction import Redactor
from agent_toolproxy.call import Json
from agent_toolproxy.errors import UpstreamUnavailable
from agent_toolproxy.mcp.link import Exchange
from agent_toolproxy.mcp.messages import request
from agent_toolproxy.mcp.stdio import StdioLink
from agent_toolproxy.messagememory import MessageRoom
from agent_toolproxy.process.runner import Command, ProcessLimits, start_process


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


LIMITS = ProcessLimits(timeout_s=30, output_bytes=1000, memory_bytes=1 << 30, processes=10)


async def test_callers_of_a_server_that_is_given_up_do_not_wait_for_its_answer(tmp_path: Path) -> None:
    command = Command(program="/bin/sleep", arguments=("60",), folder=tmp_path, environment={}, limits=LIMITS)
    async with asyncio.timeout(20), start_process(command, interval_s=1) as child:
        link = StdioLink("up", child, Redactor(), MessageRoom())
        reading = asyncio.create_task(link.run())
        calling = asyncio.create_task(link.exchange(Exchange(request(1, "tools/call", {}), timeout_s=60), ignore))
        await settle()
        reading.cancel()
        with pytest.raises(UpstreamUnavailable, match="given up"):
            await calling


async def test_what_is_no_message_shows_no_line_of_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    secret = "machine git.example.com\\nlogin c4nary-robot\\npassword c4nary-word\\n"
    redactor = Redactor()
    redactor.add(secret.replace("\\n", "\n"))
    script = f"printf '{secret}'; printf '{secret}' >&2"
    command = Command(program="/bin/sh", arguments=("-c", script), folder=tmp_path, environment={}, limits=LIMITS)
    async with asyncio.timeout(20), start_process(command, interval_s=1) as child:
        link = StdioLink("up", child, redactor, MessageRoom())
        with pytest.raises(UpstreamUnavailable):
            await link.run()
    lines = [record.line for record in caplog.records if hasattr(record, "line")]
    assert "***" in lines
    assert "c4nary" not in "".join((*lines, link.describe_end(child.outcome)))


async def ignore(_: Json) -> None:
    """A listener of nothing."""
