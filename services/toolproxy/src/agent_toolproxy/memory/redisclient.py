"""The agent's Redis, through the official client, which is imported when there is a memory and not before.

It adds some 9 MB to the process (measured, docs/adr). A command is sent once: a retry could append twice.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from agent_toolproxy.errors import MemoryUnavailable

_TIMEOUT_S: Final = 5.0
_CONNECTIONS: Final = 4


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
    """Connections are made when they are needed. `password` is read for each, so that a rotated one is used.

    `authority` is a file of certificates to trust, where it is there, instead of the system's.
    """

    def __init__(self, address: RedisAddress, password: Callable[[], str], *, authority: Path | None = None) -> None:
        self._client = _open(address, password, authority)

    async def execute(self, *parts: str | bytes | int) -> Any:  # noqa: ANN401 - each command has its own reply
        """The reply to one command, as the official client gives it. Raises MemoryUnavailable, CommandError."""
        from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError  # noqa: PLC0415

        try:
            return await self._client.execute_command(*parts)
        except NoPermissionError as error:
            raise MemoryUnavailable(f"the memory refused {parts[0]!s}: {error}") from error
        except AuthenticationError as error:
            raise MemoryUnavailable(f"the memory refused AUTH: {error}") from error
        except ResponseError as error:
            raise CommandError(str(error)) from error
        except (RedisError, OSError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise MemoryUnavailable(f"the memory cannot be reached: {reason}") from error

    async def close(self) -> None:
        await self._client.aclose()


def _open(address: RedisAddress, password: Callable[[], str], authority: Path | None) -> Any:  # noqa: ANN401 - imported late
    from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection  # noqa: PLC0415 - costs 9 MB
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - likewise
    from redis.backoff import NoBackoff  # noqa: PLC0415 - likewise
    from redis.credentials import CredentialProvider  # noqa: PLC0415 - likewise

    class Mounted(CredentialProvider):
        """Asked at each connection."""

        def get_credentials(self) -> tuple[str, ...]:  # type: ignore[override]  # redis names two lengths
            secret = password() or address.password
            if not secret:
                return ()
            return (address.username, secret) if address.username else (secret,)

        async def get_credentials_async(self) -> tuple[str, ...]:  # type: ignore[override]  # likewise
            return self.get_credentials()

    own = authority is not None and authority.is_file()
    tls: dict[str, Any] = {}
    if address.tls:
        tls = {"ssl_ca_certs": str(authority) if own else ssl.get_default_verify_paths().cafile}
    pool = BlockingConnectionPool(
        connection_class=SSLConnection if address.tls else Connection,
        host=address.host,
        port=address.port,
        db=address.database,
        credential_provider=Mounted(),
        max_connections=_CONNECTIONS,
        timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        encoding_errors="surrogatepass",
        protocol=2,
        retry=Retry(NoBackoff(), 0),
        **tls,
    )
    return Redis.from_pool(pool)
