"""The operator as it runs for users: a process of its own, with a log and an ops port."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol, Self

import aiohttp
from integration.namespace import Namespace
from integration.proxy import Proxy
from integration.waiting import eventually

PROGRAM = Path(sys.executable).with_name("agent-operator")
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class OperatorProcess:
    """One instance. Inside the context it runs; leaving it, what still runs is killed.

    `within`: a command that becomes the one after it.
    """

    def __init__(
        self,
        kubeconfig: Path,
        folder: Path,
        *,
        name: str = "operator",
        arguments: tuple[str, ...] = (),
        within: tuple[str, ...] = (),
    ) -> None:
        self._kubeconfig = kubeconfig
        self._command = (*within, str(PROGRAM))
        self._arguments = arguments
        self._log = folder / f"{name}.log"
        self._name = name
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def ops(self) -> str:
        """Base URL of the ops server."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the present run."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts a run; its log follows that of the last one."""
        self._port = free_port()
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        environment |= {"KUBECONFIG": str(self._kubeconfig), "POD_NAME": self._name, "AGENTBERTH_LOG_FORMAT": "json"}
        ops = ("--ops-host", "127.0.0.1", "--ops-port", str(self._port))
        command = [*self._command, *ops, *self._arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 40)

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def text(self) -> str:
        return self._log.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """The log's records. Anything that is not one fails the test that looks."""
        return [json.loads(line) for line in self.text.splitlines()]

    def problems(self) -> list[str]:
        """Messages that are worse than a warning."""
        return [line["message"] for line in self.lines() if line["level"] in {"error", "critical"}]

    async def ready(self, *, within_s: float = 100.0) -> None:
        """Returns when the caches are synced."""
        async with aiohttp.ClientSession() as session:

            async def look() -> bool:
                assert self._process is not None
                assert self._process.poll() is None, self.text[-4000:]
                async with session.get(f"{self.ops}/readyz") as answer:
                    return answer.status == 200

            await eventually(look, within_s=within_s)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that carry `labels`."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.ops}/metrics") as answer:
            text = await answer.text()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        series = re.findall(rf"^{name}(\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        return sum(float(value) for found, value in series if all(label in found for label in wanted))

    async def leads(self) -> bool:
        """Whether this instance holds the lease."""
        return await self.metric("leader_election_master_status") == 1


class Hire(Protocol):
    """Starts an operator for one namespace, or for all."""

    def __call__(
        self,
        namespace: Namespace,
        *arguments: str,
        kubeconfig: Path | None = None,
        proxy: Proxy | None = None,
        everywhere: bool = False,
    ) -> OperatorProcess:
        """With `proxy` it speaks to that one, as the administrator unless `kubeconfig` names another."""
