"""What is measured, as processes: the bare pass-through, the gateway, and the gateways it is compared with."""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


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


def start_ours(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    """The gateway, and what it is made of."""
    bare_port, our_port = free_port(), free_port()
    bare = [sys.executable, str(HERE / "passthrough.py"), "--port", str(bare_port)]
    bare += ["--upstream", f"{upstream}/chat/completions"]
    return [
        start_target(stack, "bare aiohttp", bare, bare_port, folder),
        start_target(stack, "agent-llmgateway", gateway_command(folder, upstream, our_port), our_port, folder),
    ]


def start_peers(stack: ExitStack, folder: Path, upstream: str) -> list[Target]:
    """Other gateways, each as its own documentation starts it."""
    port = free_port()
    litellm = start_target(stack, "litellm", litellm_command(folder, upstream, port), port, folder)
    port = free_port()
    portkey = start_target(stack, "portkey", portkey_command(folder, port), port, folder)
    portkey.headers = f"x-portkey-provider=openai,x-portkey-custom-host={upstream}"
    litellm.is_peer = portkey.is_peer = True
    return [litellm, portkey]
