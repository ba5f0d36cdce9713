"""A stand-in for redis-server: Redis' protocol on a loopback port, all of it in this process's memory.

    python -m agentberth.local.memoryserver PORT

Data types, expiry, transactions, publishing and scripts are there; modules and a bound on the size are not.
"""

# ruff: noqa: SLF001 - a command of the library sees the server and its data by these names alone

import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, Final

from fakeredis import TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from fakeredis._commands import command
from fakeredis._helpers import OK, SimpleError, SimpleString
from fakeredis._socket import FakeSocket
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

VERSION: Final = "7.4.0"
_STARTED_S: Final = time.monotonic()
_ROUGH_BYTES: Final = 64
_SETTINGS: Final = {
    "appendonly": "no",
    "databases": "16",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "notify-keyspace-events": "",
    "save": "",
    "timeout": "0",
}


class _Requests(TCPFakeRequestHandler):
    """Answers an error and stays connected, as Redis does; what the library lacks is answered here."""

    def setup(self) -> None:
        super().setup()
        client = self.current_client
        client.read_response = _errors_as_answers(client.read_response)  # type: ignore[method-assign]


def _errors_as_answers(read: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*args: object, **kwargs: object) -> object:
        try:
            return read(*args, **kwargs)
        except LostConnection:
            raise
        except RedisError as error:
            return error

    return answer


class MemoryServer(TcpFakeServer):
    """Starts again at once on the port of a server that has just ended."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address)
        self.RequestHandlerClass = _Requests


def info(server: FakeSocket, *_sections: bytes) -> bytes:
    """The fields that clients read; all sections whatever was asked for."""
    facts = {
        "redis_version": VERSION,
        "redis_mode": "standalone",
        "role": "master",
        "connected_clients": len(server._server.sockets),
        "uptime_in_seconds": int(time.monotonic() - _STARTED_S),
        "loading": 0,
        "used_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "maxmemory": 0,
        "maxmemory_policy": "noeviction",
        "evicted_keys": 0,
        "rdb_last_bgsave_status": "ok",
        "aof_enabled": 0,
        "cluster_enabled": 0,
    }
    sizes = {f"db{index}": f"keys={len(db)},expires=0,avg_ttl=0" for index, db in server._server.dbs.items() if db}
    return "".join(f"{name}:{value}\r\n" for name, value in {**facts, **sizes}.items()).encode()


def config_get(_server: FakeSocket, *patterns: bytes) -> dict[bytes, bytes]:
    """Of the settings that clients ask for."""
    asked = [pattern.decode(errors="replace").lower() for pattern in patterns]
    found = {name: value for name, value in _SETTINGS.items() if any(fnmatchcase(name, each) for each in asked)}
    return {name.encode(): value.encode() for name, value in found.items()}


def memory_usage(server: FakeSocket, key: bytes, *_options: bytes) -> int | None:
    """The size that redis reports for a key: always the same estimate, None for a key that does not exist."""
    return _ROUGH_BYTES if key in server._db else None


def client_tracking(_server: FakeSocket, mode: bytes, *_options: bytes) -> SimpleString:
    """Only switching it off is done: a client that caches would otherwise never hear of changes."""
    if mode.lower() == b"off":
        return OK
    raise SimpleError("ERR client tracking needs redis-server")


def wait(_server: FakeSocket, _replicas: bytes, _timeout: bytes) -> int:
    """No replica has it."""
    return 0


def command_docs(_server: FakeSocket, *_names: bytes) -> dict[bytes, bytes]:
    """None; redis-cli asks for them at its start."""
    return {}


def role(_server: FakeSocket) -> list[Any]:
    """A server without replicas."""
    return [b"master", 0, []]


_LACKING: Final[tuple[tuple[str, int, bool, Callable[..., Any]], ...]] = (
    ("INFO", 0, True, info),
    ("CONFIG GET", 1, True, config_get),
    ("MEMORY USAGE", 1, True, memory_usage),
    ("CLIENT TRACKING", 1, True, client_tracking),
    ("WAIT", 2, False, wait),
    ("COMMAND DOCS", 0, True, command_docs),
    ("ROLE", 0, False, role),
)
"""What clients and frameworks send and the library does not know: name, arguments, whether more may follow."""


def add_commands() -> None:
    """Give them to the library."""
    for name, arguments, more, function in _LACKING:
        register = command(name=name, fixed=(bytes,) * arguments, repeat=(bytes,) if more else ())
        setattr(FakeSocket, function.__name__, register(function))


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    (port,) = arguments
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    add_commands()
    server = MemoryServer(("127.0.0.1", int(port)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
