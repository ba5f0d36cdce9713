"""The few commands of Redis that the memory needs, over one connection.

The official client costs 24 MB of a 60 MB sidecar at import (measured), for cluster, sentinel, pub/sub and scripts
that are of no use here; RESP2 is a page of code.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from agent_toolproxy.errors import MemoryUnavailable

Reply = bytes | int | None | list["Reply"]
_LARGEST_BULK_BYTES: Final = 64 << 20
_LINE_BYTES: Final = 1 << 16


class CommandError(Exception):
    """Redis answered with an error; `str()` is its text."""


@dataclass(frozen=True)
class RedisAddress:
    """A redis:// or rediss:// URL, taken apart."""

    host: str
    port: int
    database: int
    username: str
    password: str
    tls: bool


def parse_redis_url(url: str) -> RedisAddress:
    """Raises ValueError, without the password in it."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("the memory's url must be redis://host:port or rediss://host:port")
    database = parts.path.strip("/") or "0"
    if not database.isdecimal():
        raise ValueError("the memory's url must end with the number of a database, or without a path")
    return RedisAddress(
        host=parts.hostname,
        port=parts.port or 6379,
        database=int(database),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=parts.scheme == "rediss",
    )


class RedisClient:
    """One connection, made when it is needed and made anew after a fault. A command is sent once, never twice.

    `password` is asked at each connection, so that a rotated one is used. `authority` is a file of certificates to
    trust, where it is there, instead of the system's. Raises MemoryUnavailable.
    """

    def __init__(
        self,
        address: RedisAddress,
        password: Callable[[], str],
        *,
        authority: Path | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self._address = address
        self._password = password
        self._authority = authority
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def execute(self, *parts: str | bytes | int) -> Reply:
        """The reply to one command. Raises MemoryUnavailable, CommandError."""
        try:
            async with asyncio.timeout(self._timeout_s), self._lock:
                return await self._converse(parts)
        except (OSError, TimeoutError, EOFError, ssl.SSLError, asyncio.LimitOverrunError, ValueError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            raise MemoryUnavailable(f"the memory cannot be reached: {reason}") from error

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _converse(self, parts: tuple[str | bytes | int, ...]) -> Reply:
        """A reply that was not read to its end leaves the connection in no known state: it is closed then."""
        complete = False
        try:
            reader, writer = self._streams or await self._connect()
            writer.write(encode_command(parts))
            await writer.drain()
            reply = await read_reply(reader)
            complete = True
        except CommandError:
            complete = True
            raise
        else:
            return reply
        finally:
            if not complete:
                await self.close()

    def _trust(self) -> ssl.SSLContext:
        own = self._authority is not None and self._authority.is_file()
        return ssl.create_default_context(cafile=self._authority if own else None)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = self._trust() if self._address.tls else None
        self._streams = await asyncio.open_connection(
            self._address.host, self._address.port, ssl=context, limit=_LINE_BYTES
        )
        reader, writer = self._streams
        password = self._password() or self._address.password
        hello: list[tuple[str | bytes | int, ...]] = []
        if password:
            hello.append(("AUTH", self._address.username, password) if self._address.username else ("AUTH", password))
        if self._address.database:
            hello.append(("SELECT", self._address.database))
        for command in hello:
            writer.write(encode_command(command))
            try:
                await read_reply(reader)
            except CommandError as error:
                await self.close()
                raise MemoryUnavailable(f"the memory refused {command[0]!s}: {error}") from error
        return reader, writer


def encode_command(parts: tuple[str | bytes | int, ...]) -> bytes:
    """A command as an array of bulk strings."""
    encoded = [each if isinstance(each, bytes) else str(each).encode("utf-8", "surrogatepass") for each in parts]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in encoded)


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """One reply. Raises CommandError for an error, ValueError for what is not RESP2, EOFError."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return rest
    if kind == b"-":
        raise CommandError(rest.decode("utf-8", "replace"))
    if kind not in (b":", b"$", b"*"):
        raise ValueError("the answer is not of the Redis protocol")
    number = int(rest)
    if kind == b":":
        return number
    if number < 0:
        return None
    if kind == b"*":
        try:
            return [await read_reply(reader) for _ in range(number)]
        except CommandError as error:  # what follows it is not read, so this is no whole reply
            raise ValueError(f"an error inside an answer: {error}") from error
    if number > _LARGEST_BULK_BYTES:
        raise ValueError("the answer is too large")
    return (await reader.readexactly(number + 2))[:-2]
