"""What the tool proxy costs: start, memory, and what a call through it takes longer than a direct one.

Direct and proxied calls take turns in one run, so that whatever else the machine does hits both.

    uv run python benchmarks/toolproxy/overhead.py [--calls 3000]
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

AS_IN_ITS_IMAGE = """
import sys
sys.modules["uvloop"] = None  # other services' tests need it; the image of the tool proxy does not have it
from agent_toolproxy.app import main
main()
"""
PROGRAM = [sys.executable, "-c", AS_IN_ITS_IMAGE]
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[Any]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended on leaving."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def resident_mib(pid: int) -> float:
    """Resident memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Processor time, which does not depend on what else the machine does."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def wait_until_ready(session: aiohttp.ClientSession, url: str) -> None:
    """Return when the ops server says so."""
    while True:
        try:
            async with session.get(f"{url}/readyz") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.005)


async def call(session: aiohttp.ClientSession, url: str, name: str) -> float:
    """Milliseconds that one call takes."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}, "_meta": META}}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": name,
    }
    began = time.perf_counter()
    async with session.post(url, json=body, headers=headers) as answer:
        result = await answer.json()
    assert result["result"]["content"][0]["text"] == "echo", result
    return (time.perf_counter() - began) * 1000


def write_config(root: Path, upstream: str) -> None:
    """The configuration of a proxy in front of `upstream`."""
    config = root / "etc/agentberth/tools/tools.json"
    config.parent.mkdir(parents=True)
    (root / "workspace").mkdir()
    tool = {"name": "up", "custom": {"name": "up", "source": f"mcp+{upstream}"}}
    policy = {"allowedNetworks": ["127.0.0.0/8"]}
    config.write_text(json.dumps({"agent": "bench", "tools": [tool, {"name": "git"}], "policy": policy}))


async def measure(calls: int, root: Path) -> dict[str, float]:
    """All figures of one run."""
    ports = [free_port() for _ in range(3)]
    direct, proxied = f"http://127.0.0.1:{ports[0]}/mcp", f"http://127.0.0.1:{ports[1]}/mcp"
    write_config(root, direct)
    flags = [
        "--root",
        root,
        "--tools",
        root / "tools",
        "--port",
        ports[1],
        "--ops-host",
        "127.0.0.1",
        "--ops-port",
        ports[2],
    ]
    async with aiohttp.ClientSession() as session:
        with running([sys.executable, Path(__file__).with_name("upstream.py"), str(ports[0])]):
            await asyncio.sleep(1)
            began = time.perf_counter()
            with running([*PROGRAM, *map(str, flags)]) as proxy:
                await wait_until_ready(session, f"http://127.0.0.1:{ports[2]}")
                found = {"start_s": time.perf_counter() - began}
                await asyncio.sleep(1)
                found["idle_mib"] = resident_mib(proxy.pid)
                for _ in range(200):
                    await call(session, direct, "echo")
                    await call(session, proxied, "up__echo")
                times: tuple[list[float], list[float]] = ([], [])
                busy_s = cpu_seconds(proxy.pid)
                for _ in range(calls):
                    times[0].append(await call(session, direct, "echo"))
                    times[1].append(await call(session, proxied, "up__echo"))
                found["cpu_ms_a_call"] = (cpu_seconds(proxy.pid) - busy_s) * 1000 / calls
                found["after_mib"] = resident_mib(proxy.pid)
    for name, taken in zip(("direct", "proxied"), times, strict=True):
        cuts = statistics.quantiles(taken, n=100)
        found |= {f"{name}_p50_ms": cuts[49], f"{name}_p99_ms": cuts[98]}
    return found


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    calls = parser.parse_args().calls
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(calls, Path(folder)))
    for name, value in found.items():
        print(f"{name:16} {value:8.3f}")
    print(f"{'added p50':16} {found['proxied_p50_ms'] - found['direct_p50_ms']:8.3f} ms (budget 1.5)")
    print(f"{'ratio p50':16} {found['proxied_p50_ms'] / found['direct_p50_ms']:8.2f}")
    print("budgets: start_s 0.6, idle_mib 60")


if __name__ == "__main__":
    main()
