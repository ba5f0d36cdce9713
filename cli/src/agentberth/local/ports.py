"""The Pod's ports on this machine: the same numbers when they are free, others when they are not.

A Pod has an address of its own; here every agent shares one, so two agents may run side by side only if the
second moves its ports, and every address that is told to the agent with them. Between the choice of a port and its
use lies the start of a process: a reservation keeps the port for that long from runs that begin at the same time.
"""

import re
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

_ADDRESS = re.compile(r"(?<=127\.0\.0\.1:)\d+")


@dataclass(frozen=True)
class Ports:
    """Port of the Pod -> port of this machine."""

    moved: Mapping[int, int]
    _held: tuple[socket.socket, ...] = field(default=(), repr=False)

    @classmethod
    def reserve(cls, wanted: Iterable[int]) -> "Ports":
        """A free port for each of `wanted`, itself where it is free; kept from other runs until `release`."""
        found: dict[int, int] = {}
        held: list[socket.socket] = []
        for port in wanted:
            found[port], hold = _claim(port)
            held.append(hold)
        return cls(found, tuple(held))

    def beside(self, wanted: Iterable[int]) -> "Ports":
        """Other free ports for `wanted`, and these for all the rest: for what stands before them."""
        other = Ports.reserve(wanted)
        return replace(other, moved={**self.moved, **other.moved})

    def release(self) -> None:
        """Let other runs have them."""
        for hold in self._held:
            hold.close()

    @contextmanager
    def released_unless_used(self) -> Iterator[None]:
        """Releases them when what is inside fails, since nobody else would."""
        try:
            yield
        except BaseException:
            self.release()
            raise

    def of(self, port: int) -> int:
        """Where `port` of the Pod is here."""
        return self.moved.get(port, port)

    def rewrite(self, text: str) -> str:
        """`text` with the ports of its loopback addresses moved."""
        return _ADDRESS.sub(lambda match: str(self.of(int(match.group()))), text)


def _claim(wanted: int) -> tuple[int, socket.socket]:
    """`wanted` or else any port that is free, and what holds it."""
    candidate = wanted
    while True:
        port = _free(candidate)
        hold = _hold(port) if port else None
        if hold is not None:
            return port, hold
        candidate = 0


def _hold(port: int) -> socket.socket | None:
    """A reservation of `port`, None when another run has it. It ends with its holder and leaves no file.

    Abstract names are Linux' own; elsewhere runs that begin in the same moment may still meet.
    """
    hold = socket.socket(socket.AF_UNIX)
    try:
        if sys.platform == "linux":
            hold.bind(f"\0agentberth-port-{port}")
    except OSError:
        hold.close()
        return None
    return hold


def _free(port: int) -> int:
    """`port` when nothing listens on it, 0 when something does; for 0 any free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        number: int = probe.getsockname()[1]
        return number
