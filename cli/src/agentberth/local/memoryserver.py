"""A stand-in for redis-server: Redis' protocol on a loopback port, all of it in this process's memory.

    python -m agentberth.local.memoryserver PORT

Data types, expiry, transactions and publishing are there; scripts, INFO and a bound on the size are not.
"""

import signal
import sys
import threading

from fakeredis import TcpFakeServer


class MemoryServer(TcpFakeServer):
    """Starts again at once on the port of a server that has just ended."""

    allow_reuse_address = True
    daemon_threads = True


def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or SIGINT."""
    (port,) = arguments
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = MemoryServer(("127.0.0.1", int(port)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stop.wait()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
