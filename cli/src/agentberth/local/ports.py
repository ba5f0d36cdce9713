"""The Pod's ports on this machine: the same numbers when they are free, others when they are not.

A Pod has an address of its own; here every agent shares one, so two agents may run side by side only if the
second moves its ports, and every address that is told to the agent with them.
"""

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_ADDRESS = re.compile(r"(?<=127\.0\.0\.1:)\d+")


@dataclass(frozen=True)
class Ports:
    """Port of the Pod -> port of this machine."""

    moved: Mapping[int, int]

    @classmethod
    def reserve(cls, wanted: Iterable[int]) -> "Ports":
        """A free port for each of `wanted`, itself where it is free."""
        found: dict[int, int] = {}
        for port in wanted:
            found[port] = _free(port) or _free(0)
        return cls(found)

    def of(self, port: int) -> int:
        """Where `port` of the Pod is here."""
        return self.moved.get(port, port)

    def rewrite(self, text: str) -> str:
        """`text` with the ports of its loopback addresses moved."""
        return _ADDRESS.sub(lambda match: str(self.of(int(match.group()))), text)


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
