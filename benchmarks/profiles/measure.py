"""How much memory each container of an agent's Pod needs: what the resource profiles are made of.

Idle, under load, and at its peak, as resident memory of the container's processes together. Figures of memory hardly
depend on what else the machine does. Needs redis-server, redis-benchmark and a package index.

    uv run python benchmarks/profiles/measure.py
"""

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

PROGRAMS = Path(sys.executable).parent
MIB = 1024 * 1024
TOOLPROXY = """
import sys
sys.modules["uvloop"] = None  # its image does not have it; an environment for development does
from agent_toolproxy.app import main
main()
"""
PACKAGES = {"nothing": [], "openai": ["openai"], "pandas": ["pandas"], "scikit-learn": ["scikit-learn", "pandas"]}
REDIS_MIB = (64, 256, 512)
REQUESTS, AT_ONCE, PROMPT_BYTES = 2000, (1, 16, 64), 20_000


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def tree(pid: int) -> Iterator[int]:
    """A process and all its descendants that live now."""
    yield pid
    try:
        children = [c for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its descendants; 0 when it has ended."""
    pages = 0
    for one in tree(pid):
        try:
            pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
    return pages * 4096 / MIB


@contextmanager
def running(command: list[str]) -> Iterator[int]:
    """The id of a process that is ended on leaving."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def wait_until(look: Callable[[], bool], *, within_s: float = 60) -> None:
    """Return when `look` is true; end the benchmark when it never is."""
    deadline = time.monotonic() + within_s
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit("a program did not start; run it by hand to see why")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Whether anybody answers on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def init_peak_mib(packages: list[str]) -> float:
    """The most that initenv and the installers below it have at one time."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "etc/agentberth/init/init.json")
        config.parent.mkdir(parents=True)
        wanted = {"packages": {"runtime": "python", "requirements": packages}} if packages else {}
        config.write_text(json.dumps({"agent": "bench", **wanted}))
        process = subprocess.Popen(
            [str(PROGRAMS / "agent-initenv"), "--root", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, resident_mib(process.pid))
            time.sleep(0.005)
        if process.returncode:
            raise SystemExit(f"initenv ended with {process.returncode} for {packages}")
        return peak


async def load(session: aiohttp.ClientSession, url: str, body: dict[str, object], at_once: int) -> None:
    """`REQUESTS` posts, some at once; every one must succeed."""
    numbers = iter(range(REQUESTS))

    async def work() -> None:
        for _ in numbers:
            async with session.post(url, json=body) as answer:
                await answer.read()
                answer.raise_for_status()

    await asyncio.gather(*(work() for _ in range(at_once)))


async def sidecar_mib(command: list[str], port: int, path: str, body: dict[str, object]) -> list[float]:
    """Idle, then after each load of `AT_ONCE`."""
    with running(command) as pid:
        wait_until(lambda: listens(port))
        await asyncio.sleep(1)
        found = [resident_mib(pid)]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
            for at_once in AT_ONCE:
                await load(session, f"http://127.0.0.1:{port}{path}", body, at_once)
                found.append(resident_mib(pid))
        return found


async def gateway_mib(folder: Path) -> list[float]:
    """The model gateway with its built-in mock, and prompts of `PROMPT_BYTES`."""
    port, config = free_port(), folder / "gateway.json"
    provider = {"name": "mock", "type": "mock", "model": "mock", "options": {"replies": [{"text": "ahoy " * 400}]}}
    config.write_text(json.dumps({"agent": "bench", "providers": [provider]}))
    flags = ["--config", str(config), "--port", str(port), "--ops-port", str(free_port()), "--ops-host", "127.0.0.1"]
    body = {"model": "mock", "messages": [{"role": "user", "content": "x" * PROMPT_BYTES}]}
    command = [str(PROGRAMS / "agent-llmgateway"), *flags, "--state", str(folder / "budget.json")]
    return await sidecar_mib(command, port, "/v1/chat/completions", body)


async def toolproxy_mib(folder: Path) -> list[float]:
    """The tool proxy that lists its tools; a tool that runs adds what the tool itself needs."""
    port, config = free_port(), folder / "etc/agentberth/tools/tools.json"
    config.parent.mkdir(parents=True)
    (folder / "workspace").mkdir()
    config.write_text(json.dumps({"agent": "bench", "tools": [{"name": "git"}]}))
    flags = ["--root", str(folder), "--tools", str(folder / "tools"), "--port", str(port)]
    ops = ["--ops-host", "127.0.0.1", "--ops-port", str(free_port())]
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    return await sidecar_mib([sys.executable, "-c", TOOLPROXY, *flags, *ops], port, "/mcp", body)


def redis_mib(limit_mib: int) -> float:
    """Resident memory of a Redis that is full of values of 1 KiB."""
    port = free_port()
    options = ["--save", "", "--maxmemory", f"{limit_mib}mb", "--maxmemory-policy", "allkeys-lru"]
    with running(["redis-server", "--port", str(port), *options]) as pid:
        wait_until(lambda: listens(port))
        sets = str(limit_mib * 1536)  # half as many again as fit: what eviction costs is part of the picture
        filling = ["redis-benchmark", "-p", str(port), "-q", "-t", "set", "-d", "1024", "-P", "64"]
        subprocess.run([*filling, "-n", sets, "-r", "1000000000"], check=True, stdout=subprocess.DEVNULL)
        if evicted_keys(port) == 0:
            raise SystemExit(f"a Redis of {limit_mib} MiB did not get full")
        return resident_mib(pid)


def evicted_keys(port: int) -> int:
    """How many keys a Redis has thrown out for want of room."""
    told = subprocess.run(["redis-cli", "-p", str(port), "info", "stats"], check=True, capture_output=True, text=True)
    return int(told.stdout.partition("evicted_keys:")[2].split()[0])


def main() -> None:
    """Measure and print the tables."""
    print("| what | idle |", " | ".join(f"{n} at once" for n in AT_ONCE), "|\n|---|---|---|---|---|")
    for name, measure in (("llmgateway", gateway_mib), ("toolproxy", toolproxy_mib)):
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measure(Path(folder)))
        print(f"| {name}, MiB |", " | ".join(f"{figure:.0f}" for figure in figures), "|", flush=True)
    print("\n| init container installs | peak MiB |\n|---|---|")
    for name, packages in PACKAGES.items():
        print(f"| {name} | {init_peak_mib(packages):.0f} |", flush=True)
    print("\n| redis with maxmemory | resident MiB when full |\n|---|---|")
    for limit in REDIS_MIB:
        print(f"| {limit} MiB | {redis_mib(limit):.0f} |", flush=True)


if __name__ == "__main__":
    main()
