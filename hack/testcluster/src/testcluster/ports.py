"""Free ports that stay free while a component restarts.

A port from the kernel's ephemeral range can be taken by any outgoing connection in the second in which a
restarted API server does not listen, so ports are taken from below that range.
"""

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from .errors import NotReadyError

EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_PORT = 10240
ATTEMPTS = 200


def candidate_range(ephemeral: str) -> range:
    """Ports to choose from, given the kernel's "low high" line: below it, or above when there is no room."""
    low, high = (int(part) for part in ephemeral.split())
    return range(LOWEST_PORT, low) if low - LOWEST_PORT >= 1000 else range(high + 1, 65536)


def free_ports(count: int, *, source: random.Random) -> list[int]:
    """`count` different ports of 127.0.0.1 that nobody listens on."""
    candidates = candidate_range(EPHEMERAL_RANGE.read_text()) or range(LOWEST_PORT, 65536)
    with contextlib.ExitStack() as held:
        ports: list[int] = []
        for _ in range(ATTEMPTS):
            if len(ports) == count:
                return ports
            port = source.choice(candidates)
            if held.enter_context(_bound(port)):
                ports.append(port)
    raise NotReadyError(f"no {count} free ports on 127.0.0.1 after {ATTEMPTS} attempts")


@contextlib.contextmanager
def _bound(port: int) -> Iterator[bool]:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            yield False
        else:
            yield True
