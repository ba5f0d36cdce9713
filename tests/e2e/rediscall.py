"""One call to the memory from inside of an agent, with nothing but the standard library: its words are arguments."""

import os
import socket
import sys
from urllib.parse import urlsplit


def call(connection: socket.socket, *words: str) -> str:
    """The reply's first line, or the text that follows it."""
    encoded = [word.encode() for word in words]
    connection.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded))
    first, _, rest = connection.recv(65536).decode().partition("\r\n")
    return rest.strip() if first.startswith("$") and first != "$-1" else first


def main() -> None:
    """Says the reply."""
    address = urlsplit(os.environ["AGENT_MEMORY_URL"])
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        if address.password:
            call(connection, "AUTH", address.password)
        print(call(connection, *sys.argv[1:]))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
