"""Ports of runs that begin together."""

import socket
import subprocess
import sys

import pytest

from agentberth.local.ports import Ports

RESERVE = """
import sys
from agentberth.local.ports import Ports
ports = Ports.reserve([int(word) for word in sys.argv[1:]])
print(*ports.moved.values(), flush=True)
sys.stdin.read()
"""


def reserve_elsewhere(*wanted: int) -> tuple[subprocess.Popen[str], list[int]]:
    """A run of its own, which keeps its ports until its input ends."""
    words = [sys.executable, "-c", RESERVE, *map(str, wanted)]
    run = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    return run, [int(word) for word in run.stdout.readline().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="reservations are held by what only Linux has")
def test_runs_that_have_not_begun_to_listen_do_not_get_each_others_ports(unused_tcp_port: int) -> None:
    run, theirs = reserve_elsewhere(unused_tcp_port)
    ours = Ports.reserve([unused_tcp_port])
    run.communicate()
    later = Ports.reserve([unused_tcp_port])
    ours.release()
    later.release()

    assert theirs == [unused_tcp_port]
    assert ours.of(unused_tcp_port) != unused_tcp_port
    assert later.of(unused_tcp_port) == unused_tcp_port


def test_a_port_that_something_listens_on_is_moved_with_every_address(unused_tcp_port: int) -> None:
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        ports = Ports.reserve([unused_tcp_port])
        ports.release()

    moved = ports.of(unused_tcp_port)
    assert moved != unused_tcp_port
    assert ports.rewrite(f"http://127.0.0.1:{unused_tcp_port}/v1") == f"http://127.0.0.1:{moved}/v1"
