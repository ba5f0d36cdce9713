"""An agent that tries to take the sidecars' ports before anything else, and says in one line what it got."""

import errno
import json
import signal
import socket
import sys

ADDRESSES = ("127.0.0.1", "0.0.0.0")  # noqa: S104 - a squatter tries
PORTS = (8801, 8802, 9801, 9802)


def take(address: str, port: int) -> str:
    """`taken`, or the name of the error."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((address, port))
        listener.listen()
    except OSError as error:
        listener.close()
        return errno.errorcode[error.errno or 0]
    listener.close()
    return "taken"


def main() -> None:
    """Says what it got, and waits."""
    got = {f"{address}:{port}": take(address, port) for address in ADDRESSES for port in PORTS}
    sys.stdout.write(json.dumps(got) + "\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main()
