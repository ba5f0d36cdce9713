"""The gateway beside what it is made of and what it is compared with, all in one run on one machine.

    uv run --no-sync python benchmarks/llmgateway/run.py [--seconds 4] [--rounds 3] [--peers]

What is measured has one core to itself, the upstream and the load generator (both Go) the other. Each number is
the median of the rounds; targets take turns within a round, so that a busy machine is busy for all of them.
"""

import argparse
import asyncio
import json
import math
import shutil
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from targets import (
    Target,
    compile_programs,
    cpu_s,
    free_port,
    rss_mb,
    running,
    start_ours,
    start_peers,
    wait_for,
)

HERE = Path(__file__).parent
SMALL = {"model": "m", "messages": [{"role": "user", "content": "A question of some length, as they are asked."}]}
LARGE = {"model": "m", "messages": [{"role": "user", "content": "word " * 88_000}]}


@dataclass(frozen=True)
class Load:
    """One kind of traffic."""

    name: str
    body: dict[str, Any]
    concurrency: int
    number: str
    """What of the load generator's report is shown."""


LOADS = (
    Load("requests/s, 32 at a time", SMALL, 32, "per_s"),
    Load("p50 ms, one at a time", SMALL, 1, "p50_ms"),
    Load("p99 ms, one at a time", SMALL, 1, "p99_ms"),
    Load("streams/s of 200 events, 16 at a time", {**SMALL, "stream": True}, 16, "per_s"),
    Load("ms to the first event, one at a time", {**SMALL, "stream": True}, 1, "first_p50_ms"),
    Load("requests/s with 440 KB prompts, 8 at a time", LARGE, 8, "per_s"),
)


async def measure(load: Load, target: Target, traffic: str, folder: Path, seconds: float) -> None:
    """One load on one target; the load generator runs on the second core."""
    body = folder / "body.json"
    body.write_text(json.dumps(load.body, separators=(",", ":")))
    command = [traffic, "load", "-url", target.url, "-body", str(body), "-c", str(load.concurrency)]
    command += ["-for", f"{seconds}s", "-headers", target.headers, *(["-stream"] if load.body.get("stream") else [])]
    pinned = ["taskset", "-c", "1", *command] if shutil.which("taskset") else command
    before_s = cpu_s(target.pid)
    process = await asyncio.create_subprocess_exec(*pinned, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode and not target.is_peer:
        raise SystemExit(f"{target.name}: {load.name}: the load generator failed")
    if process.returncode:  # what a peer does not do is a result too
        target.failed += 1
        target.values.setdefault(load.name, []).append(math.nan)
        target.cpu_us.setdefault(load.name, []).append(math.nan)
        return
    result = json.loads(out)
    target.failed += result["failed"]
    target.values.setdefault(load.name, []).append(result[load.number])
    target.cpu_us.setdefault(load.name, []).append((cpu_s(target.pid) - before_s) / result["requests"] * 1e6)


def table(targets: list[Target]) -> str:
    """Markdown: a line for each load, a column for each target, and the ratio to the bare pass-through."""
    names = [target.name for target in targets]
    bare = next(target for target in targets if target.name == "bare aiohttp")
    ours = next(target for target in targets if target.name == "agent-llmgateway")
    lines = ["| | " + " | ".join(names) + " | ours / bare |", "|---|" + "---:|" * (len(names) + 1)]
    for load in LOADS:
        shown = " | ".join(f"{target.median(load.name):,.2f}" for target in targets)
        lines.append(f"| {load.name} | {shown} | {ours.median(load.name) / bare.median(load.name):.2f} |")
    for load in (load for load in LOADS if load.number == "per_s"):
        used = {target.name: statistics.median(target.cpu_us[load.name]) for target in targets}
        shown = " | ".join("-" if target.pid is None else f"{used[target.name]:,.0f}" for target in targets)
        lines.append(f"| CPU us each, {load.name.split(',')[0]} | {shown} | {used[bare.name] / used[ours.name]:.2f} |")
    processes = [(target, rss_mb(target.pid) if target.pid else None) for target in targets]
    idle = " | ".join("-" if t.pid is None else f"{t.idle_mb:.0f}" for t, _ in processes)
    after = " | ".join("-" if mb is None else f"{mb:.0f}" for _, mb in processes)
    starts = " | ".join("-" if t.start_s is None else f"{t.start_s:.2f}" for t, _ in processes)
    start_cpu = " | ".join("-" if t.pid is None else f"{t.start_cpu_s:.2f}" for t, _ in processes)
    failed = " | ".join(str(target.failed) for target in targets)
    lines += [f"| RSS MB idle | {idle} | |", f"| RSS MB after | {after} | |", f"| start s | {starts} | |"]
    lines += [f"| start, CPU s | {start_cpu} | |", f"| failed requests | {failed} | |"]
    return "\n".join(lines)


def build(traffic: str) -> None:
    """The upstream and the load generator."""
    subprocess.run(["go", "build", "-o", traffic, "."], cwd=HERE / "traffic", check=True)


async def main() -> None:
    """Run all, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="of each load on each target")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also install and measure other gateways")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        traffic = str(folder / "traffic")
        build(traffic)
        compile_programs(folder)
        upstream_port = free_port()
        command = [traffic, "upstream", "-port", str(upstream_port)]
        wait_for(upstream_port, stack.enter_context(running(command, core=1, log=folder / "upstream.log")))
        upstream = f"http://127.0.0.1:{upstream_port}/v1"
        targets = [Target("direct", f"{upstream}/chat/completions", None), *start_ours(stack, folder, upstream)]
        if options.peers:
            targets += start_peers(stack, folder, upstream)
        for _ in range(options.rounds):
            for load in LOADS:
                for target in targets:
                    await measure(load, target, traffic, folder, options.seconds)
        print(table(targets))


if __name__ == "__main__":
    asyncio.run(main())
