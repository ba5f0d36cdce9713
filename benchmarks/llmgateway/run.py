"""The gateway beside what it is made of and what it is compared with, all in one run on one machine.

    uv run --no-sync python benchmarks/llmgateway/run.py [--seconds 4] [--rounds 3] [--peers] [--write]

What is measured has one core to itself, the upstream and the load generator (both Go) the other. Each number is
the median of the rounds; targets take turns within a round, so that a busy machine is busy for all of them.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "benchmarks" / "llmgateway.md"
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


@dataclass
class Target:
    """Something that answers at `url`. `pid` is None for the upstream itself."""

    name: str
    url: str
    pid: int | None
    start_s: float | None = None
    start_cpu_s: float = 0.0
    idle_mb: float = 0.0
    headers: str = ""
    is_peer: bool = False
    values: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)
    failed: int = 0

    def median(self, load: str) -> float:
        """Over the rounds."""
        return statistics.median(self.values[load])


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], *, core: int | None, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process on a core of its own; ended by its id. It finds its bytecode, as it does in its image."""
    pinned = ["taskset", "-c", str(core), *command] if core is not None and shutil.which("taskset") else command
    with log.open("wb") as out:
        process = subprocess.Popen(
            pinned, stdout=out, stderr=out, env=with_bytecode(log.parent)
        )  # taskset becomes the program: the id is the same
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def with_bytecode(folder: Path) -> dict[str, str]:
    """The environment, with bytecode kept below `folder`."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def compile_programs(folder: Path) -> None:
    """What an image has done when it is built."""
    command = [sys.executable, "-c", "import agent_llmgateway.app, aiohttp.web, uvloop"]
    subprocess.run(command, check=True, env=with_bytecode(folder))


def wait_for(port: int, process: "subprocess.Popen[bytes]", *, within_s: float = 120) -> float:
    """Seconds until `port` listens."""
    began = time.monotonic()
    while time.monotonic() - began < within_s:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return time.monotonic() - began
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        time.sleep(0.005)
    raise SystemExit(f"{process.args!r} does not listen")


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def start_target(stack: ExitStack, name: str, command: list[str], port: int, folder: Path) -> Target:
    """Start what is measured, on the first core."""
    began = time.monotonic()
    process = stack.enter_context(running(command, core=0, log=folder / f"{name}.log"))
    wait_for(port, process)
    start_s = time.monotonic() - began
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    return Target(name, url, process.pid, start_s, cpu_s(process.pid), rss_mb(process.pid))


def gateway_command(folder: Path, upstream: str, port: int) -> list[str]:
    """Ours, with one provider."""
    provider = {"name": "upstream", "type": "openai-compatible", "baseUrl": upstream, "model": "m"}
    config = {"schemaVersion": 1, "agent": "benchmark", "providers": [provider]}
    (folder / "gateway.json").write_text(json.dumps(config))
    program = str(Path(sys.executable).with_name("agent-llmgateway"))
    flags = ["--config", str(folder / "gateway.json"), "--port", str(port), "--ops-port", str(free_port())]
    return [program, *flags, "--state", str(folder / "budget.json")]


def litellm_command(folder: Path, upstream: str, port: int) -> list[str]:
    """LiteLLM's proxy in an environment of its own, thrown away with the folder."""
    venv = folder / "litellm"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin" / "pip"), "install", "--quiet", "litellm[proxy]"], check=True)
    config = folder / "litellm.yaml"
    parameters = {"model": "openai/m", "api_base": upstream, "api_key": "benchmark"}
    models = [{"model_name": "m", "litellm_params": parameters}]
    settings = {"dangerously_permit_weak_or_unset_master_key": True}  # it asks for this when it is on loopback alone
    config.write_text(json.dumps({"model_list": models, "general_settings": settings}))
    return [str(venv / "bin" / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1"]


def portkey_command(folder: Path, port: int) -> list[str]:
    """Portkey's gateway, installed into the folder; where it forwards to is said by each request's headers."""
    home = folder / "portkey"
    home.mkdir()
    subprocess.run(["npm", "install", "--silent", "--prefix", str(home), "@portkey-ai/gateway"], check=True)
    program = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return ["node", str(program), f"--port={port}", "--headless"]


def cpu_s(pid: int | None) -> float:
    """CPU time of a process so far: what it needs does not depend on how busy others are, as its speed does."""
    if pid is None:
        return 0.0
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


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


PAGE_TEXT = """# The model gateway's speed

Measured {date} on {machine}, a machine that did other work meanwhile
(load {load}): read the ratios, not the numbers; the CPU time of a request depends least on the others. Printed by
`benchmarks/llmgateway/run.py --rounds {rounds} --seconds {seconds:g}{peers}`.

What is measured has one core, the upstream and the load generator (both Go) the other; each number is the median of
{rounds} rounds in which the targets take turns. All start from bytecode, as they do in an image; the CPU time of a
start depends less on the machine's other work than the time it took.

"direct" is the load generator on the upstream with nothing in between; "bare aiohttp" forwards and knows nothing
(`passthrough.py`), neither whether an answer was whole nor who gave it. The last column is ours to the bare one's:
speed over speed, time over time, and for CPU the bare one's over ours.

{result}

What the gateway adds to a request is its p50 less that of "direct"; what it adds to its own foundation is its p50 less
that of "bare aiohttp".
"""


def page(result: str, options: argparse.Namespace) -> str:
    """docs/benchmarks/llmgateway.md."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Linux, Python {platform.python_version()}"
    return PAGE_TEXT.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=machine,
        load=f"{os.getloadavg()[1]:.0f}",
        rounds=options.rounds,
        seconds=options.seconds,
        peers=" --peers" if options.peers else "",
        result=result,
    )


def build(traffic: str) -> None:
    """The upstream and the load generator."""
    subprocess.run(["go", "build", "-o", traffic, "."], cwd=HERE / "traffic", check=True)


def start_peers(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    """Other gateways, each as its own documentation starts it."""
    port = free_port()
    litellm = start_target(stack, "litellm", litellm_command(folder, upstream, port), port, folder)
    port = free_port()
    portkey = start_target(stack, "portkey", portkey_command(folder, port), port, folder)
    portkey.headers = f"x-portkey-provider=openai,x-portkey-custom-host={upstream}"
    litellm.is_peer = portkey.is_peer = True
    return [litellm, portkey]


async def main() -> None:
    """Run all, print the table, and write the page when told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="of each load on each target")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", action="store_true", help="also install and measure other gateways")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(HERE.parents[1])}")
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
        bare_port, our_port = free_port(), free_port()
        bare = [sys.executable, str(HERE / "passthrough.py"), "--port", str(bare_port)]
        targets = [
            Target("direct", f"{upstream}/chat/completions", None),
            start_target(
                stack, "bare aiohttp", [*bare, "--upstream", f"{upstream}/chat/completions"], bare_port, folder
            ),
            start_target(stack, "agent-llmgateway", gateway_command(folder, upstream, our_port), our_port, folder),
        ]
        if options.peers:
            targets += start_peers(stack, folder, upstream)
        for _ in range(options.rounds):
            for load in LOADS:
                for target in targets:
                    await measure(load, target, traffic, folder, options.seconds)
        result = table(targets)
    print(result)
    if options.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(result, options))


if __name__ == "__main__":
    asyncio.run(main())
