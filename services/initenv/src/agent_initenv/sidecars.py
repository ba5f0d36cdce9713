"""The Pod's sidecars, which start before the init container: the agent may start when each has said that it is ready.

The kubelet looks at a startup probe once a second at most, and starts one container after the other. Awaited from here,
sidecars come up together while the workspace is prepared, and nobody waits for a tick.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agent_initenv.errors import SettingsError
from agent_initenv.progress import Progress
from agent_initenv.retry import Clock

PROBE_EVERY_S: Final = 0.05
REMIND_EVERY_S: Final = 30.0
_PROBE_TIMEOUT_S: Final = 2.0
_LONGEST_REASON: Final = 500
_ADDRESS: Final = re.compile(
    r"(?P<name>[a-z0-9-]+)=(?P<scheme>http|tcp)://(?P<host>[\w.-]+):(?P<port>\d{1,5})(?P<path>/\S*)?"
)


@dataclass(frozen=True)
class Sidecar:
    """A sidecar: ready when a GET of `path` has status 200, or without a path when it can be connected to."""

    name: str
    host: str
    port: int
    path: str | None


class SidecarProbe(Protocol):
    """Why a sidecar is not ready, None when it is."""

    def __call__(self, sidecar: Sidecar) -> str | None: ...


def parse_sidecar(text: str) -> Sidecar:
    """Such as toolproxy=http://127.0.0.1:9802/readyz or memory=tcp://127.0.0.1:6379. Raises SettingsError."""
    found = _ADDRESS.fullmatch(text)
    if found is None or (found["scheme"] == "http") != (found["path"] is not None):
        raise SettingsError(f"--await {text}: write NAME=http://HOST:PORT/PATH or NAME=tcp://HOST:PORT.")
    return Sidecar(found["name"], found["host"], int(found["port"]), found["path"])


def await_sidecars(
    sidecars: Sequence[Sidecar], progress: Progress, clock: Clock, probe: SidecarProbe | None = None
) -> None:
    """Returns when each sidecar was ready once, however long it takes: who is awaited, and why, is said.

    There is no deadline, as a sidecar that cannot come up is started anew by its own liveness probe, and one that
    waits for its cause to be mended (a tool, a key) is noticed at once.
    """
    for sidecar in sidecars:
        _await(sidecar, progress, clock, probe or probe_sidecar)


def probe_sidecar(sidecar: Sidecar) -> str | None:
    """Ask over the network, once: why the sidecar is not ready, None when it is."""
    try:
        if sidecar.path is not None:
            return _get(sidecar, sidecar.path)
        _connect(sidecar)
    except OSError as error:
        return f"no connection: {error.strerror or type(error).__name__}"
    return None


def _await(sidecar: Sidecar, progress: Progress, clock: Clock, probe: SidecarProbe) -> None:
    said, said_at = "", clock.now_s()
    while (reason := probe(sidecar)) is not None:
        if reason != said or clock.now_s() - said_at >= REMIND_EVERY_S:
            progress.note("await", f"{sidecar.name} is not ready yet: {reason}")
            said, said_at = reason, clock.now_s()
        clock.sleep(PROBE_EVERY_S)


def _connect(sidecar: Sidecar) -> None:
    import socket  # noqa: PLC0415 - paid for only where somebody is awaited

    socket.create_connection((sidecar.host, sidecar.port), _PROBE_TIMEOUT_S).close()


def _get(sidecar: Sidecar, path: str) -> str | None:
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - likewise

    connection = HTTPConnection(sidecar.host, sidecar.port, timeout=_PROBE_TIMEOUT_S)
    try:
        connection.request("GET", path)
        with connection.getresponse() as answer:  # left open, its finaliser would swallow an interruption
            text = answer.read(_LONGEST_REASON).decode(errors="replace")
    except HTTPException as error:
        return f"no HTTP answer: {type(error).__name__}"
    finally:
        connection.close()
    return None if answer.status == 200 else " ".join(text.split()) or f"status {answer.status}"
