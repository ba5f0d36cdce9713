"""agent-toolproxy as a process, in a folder that stands for the Pod's volumes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
from contract import podroot
from contract.podroot import PodRoot

from agent_api.layout import TOOLPROXY_UID

PROGRAM = Path(sys.executable).with_name("agent-toolproxy")
PATIENCE_S = 120.0
LOOPBACK = ["127.0.0.0/8", "::1/128"]


class ToolProxy:
    """One proxy. `config` is merged over a minimal one; programs put into `programs` are on its PATH."""

    def __init__(self, root: Path, **config: Any) -> None:
        self.root = root
        self.tools = root / "tools"
        self.workspace = root / "workspace"
        self.programs = root / "programs"
        self.log = root / "log"
        self.config_file = root / "etc/agentberth/tools/tools.json"
        for folder in (self.tools, self.workspace, self.programs, root / "tmp", self.config_file.parent):
            folder.mkdir(parents=True, exist_ok=True)
        self.environ: dict[str, str] = {}
        self._pod: PodRoot | None = None
        self.write_config(**config)
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: tuple[int, int] = (0, 0)

    def in_a_pod(self) -> Self:
        """Run it with the user, the volumes and the read-only root of a Pod, where this machine can."""
        if podroot.is_available():
            empty = self.root.with_name(f"{self.root.name}-rootfs")
            empty.mkdir()
            self._pod = PodRoot(TOOLPROXY_UID, self.root, empty)
            for folder in (self.tools, self.workspace, self.root / "tmp"):
                podroot.make_volume(folder)
            podroot.mount_file(self.config_file)
        return self

    def write_config(self, **config: Any) -> None:
        policy = {"allowedNetworks": LOOPBACK, **config.pop("policy", {})}
        temporary = self.config_file.with_suffix(".new")
        temporary.write_text(json.dumps({"agent": "test", "policy": policy, **config}))
        self._hand_over(temporary)
        temporary.replace(self.config_file)

    def write_credential(self, folder: str, key: str, value: str) -> None:
        path = self.root / "etc/agentberth/credentials" / folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{key}")
        temporary.write_text(value)
        self._hand_over(temporary)
        temporary.replace(path)

    def _hand_over(self, mounted: Path) -> None:
        if self._pod is not None:
            podroot.mount_file(mounted)

    def add_program(self, name: str, text: str) -> Path:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def launch(self, *flags: str) -> Self:
        """Start without waiting for anything but the ports."""
        self.log.unlink(missing_ok=True)
        environ = {
            "PATH": f"{self.programs}:{os.environ['PATH']}:{PROGRAM.parent}",  # uv is beside the program
            "HOME": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "CANARY_OF_THE_PROXY": "must not be inherited",
            **self.environ,
        }
        own = ("--root", str(self.root), "--port", "0", "--ops-host", "127.0.0.1", "--ops-port", "0")
        command = [str(PROGRAM), *own, "--watch-interval-s", "0.1", *flags]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._pod.wrap(command) if self._pod else command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=self.root,
            )
        self.wait_for(lambda: any(line.get("message") == "serving" for line in self.log_lines()))
        line = next(line for line in self.log_lines() if line.get("message") == "serving")
        self._ports = line["port"], line["ops_port"]
        return self

    def start(self, *flags: str) -> Self:
        """Start, and wait until it is ready."""
        self.launch(*flags)
        self.wait_for(lambda: httpx.get(f"{self.ops_url}/readyz").status_code == 200)
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def ops_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[1]}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_for(self, condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(
                    f"the proxy ended with {self._process.returncode}:\n{self.log.read_text()[-4000:]}"
                )
            try:
                if condition():
                    return
            except (httpx.HTTPError, OSError):
                pass
            time.sleep(0.03)
        raise AssertionError(f"not within {timeout_s} s; the log:\n{self.log.read_text()[-6000:]}")

    def wait_for_state(self, name: str, *states: str, timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        self.wait_for(lambda: self.tool(name).get("state") in states, timeout_s)
        return self.tool(name)

    def log_lines(self) -> list[dict[str, Any]]:
        lines = []
        for line in self.log.read_text().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                continue
        return lines

    def tool(self, name: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/v1/tools/{name}")
        return answer.json() if answer.status_code == 200 else {}

    def tool_names(self, *, callable_only: bool = True) -> list[str]:
        tools = httpx.get(f"{self.url}/v1/tools").json()["tools"]
        return [tool["name"] for tool in tools if tool["callable"] or not callable_only]

    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.ops_url}/report").json()
        return found

    def metrics(self) -> str:
        return httpx.get(f"{self.ops_url}/metrics").text

    def run(self, name: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> httpx.Response:
        body = {"arguments": arguments or {}, **more}
        return httpx.post(f"{self.url}/v1/tools/{name}:run", json=body, timeout=90)

    def call(self, name: str, arguments: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The result of an MCP call, 2026-07-28."""
        answer = self.post("tools/call", {"name": name, "arguments": arguments or {}}, name=name)
        found: dict[str, Any] = answer.json()
        result: dict[str, Any] = found.get("result", found)
        return result

    def post(
        self, method: str, params: Mapping[str, Any] | None = None, *, name: str = "", **headers: str
    ) -> httpx.Response:
        """A well-formed request of 2026-07-28; `headers` replace its own (with _ for -)."""
        return httpx.post(f"{self.url}/mcp", timeout=90, **modern_request(method, params, name=name, headers=headers))

    def reload(self, **config: Any) -> None:
        """Another configuration, and wait until it is the present one."""
        before = self._applied()
        self.write_config(**config)
        self.wait_for(lambda: self._applied() > before)

    def _applied(self) -> int:
        """How many configurations have been; the report's hash leaves out decisions."""
        return self.log.read_text().count('"configuration applied"')

    def sleepers(self) -> list[int]:
        """The `sleep`s that its tools began, whoever is their parent by now."""
        return [int(each.name) for each in Path("/proc").glob("[0-9]*") if self._is_sleeper(each)]

    def _is_sleeper(self, process: Path) -> bool:
        try:
            arguments, folder = (process / "cmdline").read_bytes(), (process / "cwd").readlink()
        except OSError:
            return False
        return arguments.startswith(b"sleep\0") and str(self.root) in str(folder)  # below a root of its own, perhaps

    def stop(self) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        code = self._process.wait(30)
        self._process = None
        return code

    def kill(self) -> None:
        """As the kernel would: without a word."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self.stop()


def modern_request(
    method: str, params: Mapping[str, Any] | None = None, *, name: str = "", headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The arguments of an httpx request of 2026-07-28."""
    given = dict(params or {})
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        **given.pop("_meta", {}),
    }
    own = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": method,
        **({"Mcp-Name": name} if name else {}),
        **{key.replace("_", "-"): value for key, value in (headers or {}).items()},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**given, "_meta": meta}}
    return {"json": body, "headers": own}


@contextmanager
def running(root: Path, **config: Any) -> Iterator[ToolProxy]:
    """A started proxy that is stopped in the end."""
    proxy = ToolProxy(root, **config)
    try:
        yield proxy.start()
    finally:
        proxy.close()


def descendants(pid: int) -> set[int]:
    """Every process below `pid`."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            try:
                children = {int(each) for each in task.read_text().split()}
            except OSError:
                continue
            found |= children
            waiting.extend(children)
    return found
