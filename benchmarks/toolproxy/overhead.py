"""What the tool proxy costs: start, memory, and what a call through it takes longer than a direct one.

Direct and proxied calls take turns in one run, so that whatever else the machine does hits all of them. With --against,
the proxy of another checkout takes its turns too, and the last column is the ratio.

    uv run python benchmarks/toolproxy/overhead.py [--calls 3000] [--against FOLDER]
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
from contextlib import ExitStack, contextmanager
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
def running(command: list[Any], sources: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended on leaving; `sources` come before the packages that are installed."""
    environ = {**os.environ, **({"PYTHONPATH": sources} if sources else {})}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
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


def sources_of(checkout: Path) -> str:
    """The packages of another checkout, compiled, as they are in an image."""
    folders = [*checkout.glob("libs/*/src"), *checkout.glob("services/*/src")]
    if not folders:
        raise SystemExit(f"{checkout} has no packages below libs and services")
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=False)
    return os.pathsep.join(map(str, folders))


async def start(
    stack: ExitStack, session: aiohttp.ClientSession, upstream: str, sources: str
) -> tuple[int, str, dict[str, float]]:
    """A proxy in front of `upstream`: its pid and address, and what its start took."""
    root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_config(root, upstream)
    port, ops_port = free_port(), free_port()
    ops = ["--ops-host", "127.0.0.1", "--ops-port", ops_port]
    flags = ["--root", root, "--tools", root / "tools", "--port", port, *ops]
    began = time.perf_counter()
    proxy = stack.enter_context(running([*PROGRAM, *map(str, flags)], sources))
    await wait_until_ready(session, f"http://127.0.0.1:{ops_port}")
    found = {"start_s": time.perf_counter() - began}
    await asyncio.sleep(1)
    return proxy.pid, f"http://127.0.0.1:{port}/mcp", {**found, "idle_mib": resident_mib(proxy.pid)}


async def measure(calls: int, checkouts: dict[str, str]) -> dict[str, dict[str, float]]:
    """All figures of one run, by the name of the checkout."""
    port = free_port()
    direct = f"http://127.0.0.1:{port}/mcp"
    async with aiohttp.ClientSession() as session:
        with ExitStack() as stack:
            stack.enter_context(running([sys.executable, Path(__file__).with_name("upstream.py"), str(port)]))
            await asyncio.sleep(1)
            proxies = {name: await start(stack, session, direct, sources) for name, sources in checkouts.items()}
            targets = {"direct": (direct, "echo"), **{name: (each[1], "up__echo") for name, each in proxies.items()}}
            await take_turns(session, targets, 200)
            busy_s = {name: cpu_seconds(pid) for name, (pid, _, _) in proxies.items()}
            times = await take_turns(session, targets, calls)
            found = {}
            for name, (pid, _, started) in proxies.items():
                cpu_ms = (cpu_seconds(pid) - busy_s[name]) * 1000 / calls
                after = {"cpu_ms_a_call": cpu_ms, "after_mib": resident_mib(pid)}
                found[name] = {**started, **after, **compare(times["direct"], times[name])}
    return found


async def take_turns(
    session: aiohttp.ClientSession, targets: dict[str, tuple[str, str]], calls: int
) -> dict[str, list[float]]:
    """Milliseconds of each call; in each round another target is the first."""
    times: dict[str, list[float]] = {name: [] for name in targets}
    names = list(targets)
    for _ in range(calls):
        names = [*names[1:], names[0]]
        for name in names:
            times[name].append(await call(session, *targets[name]))
    return times


def compare(direct: list[float], proxied: list[float]) -> dict[str, float]:
    """What calls through the proxy take beside direct ones."""
    of_direct, of_proxied = statistics.quantiles(direct, n=100), statistics.quantiles(proxied, n=100)
    return {
        "direct_p50_ms": of_direct[49],
        "proxied_p50_ms": of_proxied[49],
        "proxied_p99_ms": of_proxied[98],
        "added_p50_ms": of_proxied[49] - of_direct[49],
    }


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--against", type=Path, help="another checkout, such as one of the revision before")
    arguments = parser.parse_args()
    checkouts = {"this": ""} | ({"other": sources_of(arguments.against)} if arguments.against else {})
    found = asyncio.run(measure(arguments.calls, checkouts))
    for figure, value in found["this"].items():
        other = found["other"][figure] if "other" in found else None
        print(f"{figure:16} {value:8.3f}" + ("" if other is None else f" {other:8.3f} {value / other:6.2f}"))
    print("budgets: added_p50_ms 1.5, start_s 0.6, idle_mib 60")


if __name__ == "__main__":
    main()
