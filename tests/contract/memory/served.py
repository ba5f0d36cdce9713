"""The memory's server as it is rendered, as a process of this machine: its very script and arguments, paths moved."""

import os
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import redis
from contract.memory.waiting import eventually
from redis.backoff import NoBackoff
from redis.retry import Retry

from agent_api.agenttype import AgentType
from agent_render import PlatformSettings, render

FOLLOW_S = 0.2


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def container_of(memory: dict[str, Any]) -> dict[str, Any]:
    """The rendered container of a server beside the agent's Pods."""
    document = {
        "apiVersion": "agents.example.com/v1",
        "kind": "AgentType",
        "metadata": {"name": "subject", "namespace": "team"},
        "spec": {"agent": {"image": "nginx:1.27"}, "memory": memory},
    }
    rendered = render(AgentType.model_validate(document), PlatformSettings())
    (found,) = [one for one in rendered if one["kind"] == "StatefulSet"]
    container: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
    return container


@dataclass
class Served:
    """One server. `root` holds its data, so that a second start finds it."""

    root: Path
    memory: dict[str, Any]
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        for folder in ("tmp", "data", "etc/agentberth/memory"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)

    def set_password(self, password: str) -> None:
        """As the kubelet does: the file is another one from one moment to the next."""
        draft = self.root / "etc/agentberth/memory/draft"
        draft.write_text(password)
        draft.replace(draft.with_name("password"))

    def launch(self) -> None:
        """Starts the container's command, in a group of its own as in a container."""
        container = container_of(self.memory)
        words = [self._moved(word) for word in (*container["command"], *container["args"])]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                words, cwd=self.root / "data", stdout=log, stderr=log, start_new_session=True
            )

    def start(self, password: str) -> redis.Redis:
        """Starts it and returns a client once it answers."""
        self.launch()
        client = self.client(password)
        eventually(lambda: _pings(client), what=(self.root / "log").read_text)
        return client

    def client(self, password: str) -> redis.Redis:
        """A client of its own connections."""
        return redis.Redis(
            port=self.port, password=password, socket_timeout=2, retry=Retry(NoBackoff(), 0), decode_responses=True
        )

    def admits(self, password: str) -> bool:
        """Whether a new connection with `password` is let in."""
        try:
            with self.client(password) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return False

    def send(self, number: signal.Signals) -> None:
        """A signal for the server alone."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """Ends it with all that its container holds, as the kubelet does."""
        if self.process is not None:
            self.send(signal.SIGCONT)
            self.send(number)
            self.process.wait(20)
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None

    def _moved(self, word: str) -> str:
        for path in ("/tmp", "/etc/agentberth/memory"):
            word = word.replace(f"{path}/", f"{self.root}{path}/")
        word = word.replace("sleep 5", f"sleep {FOLLOW_S}").replace("6379", str(self.port))
        return f"{self.root}/data" if word == "/data" else word


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
