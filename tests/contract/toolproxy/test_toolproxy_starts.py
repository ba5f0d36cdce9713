"""Many tools at once: required ones wait for no slow one, and little of a processor is enough."""

import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from contract.toolproxy.toolproxy_harness import ToolProxy

V1, V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD_US = 100_000
QUOTA_US = 30_000
LONGEST_S = 60.0
SERVERS = 9
QUICK = """#!/usr/bin/env python3
import json, sys, time
time.sleep(float(sys.argv[1]))
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    results = {
        "initialize": {
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}
        },
        "tools/list": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]},
    }
    known = message["method"] in results
    body = {"result": results[message["method"]]} if known else {"error": {"code": -32601, "message": "no"}}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
"""
OFFICIAL = f"""#!{sys.executable}
from mcp.server.mcpserver import MCPServer

server = MCPServer("official")


@server.tool()
def echo(text: str) -> str:
    return text


server.run("stdio")
"""


@pytest.fixture
def small_processor() -> Iterator[Path]:
    """A cgroup whose processes get 0.3 of a processor."""
    is_v1 = V1.is_dir()
    folder = (V1 if is_v1 else V2) / f"agentberth-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    try:
        limit = ("cpu.cfs_quota_us", str(QUOTA_US)) if is_v1 else ("cpu.max", f"{QUOTA_US} {PERIOD_US}")
        (folder / limit[0]).write_text(limit[1])
        yield folder
    finally:
        folder.rmdir()


@pytest.mark.timeout(300)
def test_of_twenty_tools_the_required_ones_wait_for_no_slow_one(tmp_path: Path) -> None:
    with closing(ToolProxy(tmp_path / "pod")) as proxy:
        proxy.add_program("server", QUICK)
        proxy.add_program("program", "#!/bin/sh\necho done\n")
        slow = {"name": "slow", "source": "mcp+stdio:path:server", "arguments": ["3600"]}
        servers = [{"name": f"server{number}", "source": "mcp+stdio:path:server"} for number in range(10)]
        programs = [{"name": f"program{number}", "source": "path:program"} for number in range(9)]
        required = [{"name": each["name"], "custom": {"arguments": ["0"], **each}} for each in servers]
        required += [{"name": each["name"], "custom": each} for each in programs]
        proxy.write_config(
            tools=[{"name": "slow", "custom": slow, "required": False}, *required],
            limits={"startTimeoutSeconds": 3600},
        )
        proxy.launch()

        proxy.wait_for(lambda: httpx.get(f"{proxy.ops_url}/readyz").status_code == 200, timeout_s=200)

        states = {name: proxy.tool(name)["state"] for name in ("slow", *(str(each["name"]) for each in required))}
        assert states.pop("slow") in ("pending", "installing")
        assert set(states.values()) == {"ready"}
        assert len(states) == 19


@pytest.mark.skipif(not os.environ.get("AGENTBERTH_WHOLE"), reason="takes most of a minute: AGENTBERTH_WHOLE=1")
@pytest.mark.timeout(300)
def test_nine_servers_get_ready_with_a_third_of_a_processor(tmp_path: Path, small_processor: Path) -> None:
    with closing(ToolProxy(tmp_path / "pod")) as proxy:
        proxy.add_program("official", OFFICIAL)
        proxy.launch()
        (small_processor / "cgroup.procs").write_text(str(proxy.pid))
        names = [f"server{number}" for number in range(SERVERS)]
        custom = [{"name": name, "source": "mcp+stdio:path:official"} for name in names]
        started_s = time.monotonic()
        proxy.write_config(tools=[{"name": each["name"], "custom": each} for each in custom])

        for name in names:
            proxy.wait_for_state(name, "ready", timeout_s=2 * LONGEST_S)

        took_s = time.monotonic() - started_s
        sys.stdout.write(f"{SERVERS} servers were ready after {took_s:.1f} s\n")
        assert took_s < LONGEST_S
