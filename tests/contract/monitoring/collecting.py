"""The collectors of deploy/components, run as they are but for their places on this machine."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from contract.llmgateway.harness import free_port, wait_until
from contract.monitoring.observed import ROOT, built

COMPONENTS = ROOT / "deploy" / "components"
PLACES = {"/var/log/pods": "pods", "/var/lib/collector": "position"}
_PORT = re.compile(r"0\.0\.0\.0:(\d+)")


def config_of(component: str) -> str:
    """The collector's configuration in that component."""
    return (COMPONENTS / component / "config.yaml").read_text()


@dataclass(frozen=True)
class Running:
    """A collector at work. `ports` has the port it has here for each port of its configuration."""

    log: Path
    ports: dict[int, int]

    @property
    def url(self) -> str:
        """Where it takes OTLP over HTTP."""
        return f"http://127.0.0.1:{self.ports[4318]}"


def relocate(config: str, folder: Path) -> tuple[str, dict[int, int]]:
    """The configuration with folders below `folder` and free ports of the loopback interface."""
    for place, name in PLACES.items():
        (folder / name).mkdir(exist_ok=True)
        config = config.replace(place, str(folder / name))
    ports = {int(port): free_port() for port in _PORT.findall(config)}
    return _PORT.sub(lambda found: f"127.0.0.1:{ports[int(found[1])]}", config), ports


def validate(config: str, folder: Path) -> str:
    """What the collector says of a configuration, nothing if it is good. Fails when it refuses it."""
    file = folder / "config.yaml"
    file.write_text(relocate(config, folder)[0])
    command = [str(built("collector")), "validate", f"--config={file}"]
    environ = {**os.environ, "BACKEND": "http://backend:4318"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@contextmanager
def run_collector(config: str, folder: Path, backend: str) -> Iterator[Running]:
    """A collector with that configuration, healthy. It is stopped as a kubelet stops it, and must end by itself.

    Its log must be without warnings: of names that the next version does not have, say.
    """
    text, ports = relocate(config, folder)
    file = folder / "config.yaml"
    file.write_text(text)
    log = folder / "collector.log"
    no_port = "--set=service::telemetry::metrics::level=none"  # its own metrics are at a fixed port
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(built("collector")), f"--config={file}", no_port],
            env={**os.environ, "BACKEND": backend},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        health = f"http://127.0.0.1:{ports[13133]}/"
        wait_until(lambda: httpx.get(health).status_code == 200, why=log.read_text)
        yield Running(log, ports)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
        assert "\twarn\t" not in log.read_text()
    finally:
        process.kill()
        process.wait()
