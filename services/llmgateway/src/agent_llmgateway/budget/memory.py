"""The agent's Redis as the gateway uses it: a client that follows a rotated password, and a probe for the report.

redis is imported only where an agent has a memory: it costs 24 MB.
"""

import asyncio
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from agent_api.gatewayconfig import GatewayMemory
from agent_api.layout import relocate
from agent_api.memoryreport import MemoryReport
from agent_base.redaction import Redactor

REDIS_TIMEOUT_S: Final = 0.5
PROBE_TIMEOUT_S: Final = 3.0


async def look(client: Any) -> MemoryReport:  # noqa: ANN401 - redis is imported late
    """A probe: raises nothing that a server can cause, and leaves out its words, which may repeat what was sent."""
    from redis.exceptions import AuthenticationError, RedisError  # noqa: PLC0415 - paid for only with a memory

    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            keys = await client.dbsize()
            info = await _figures(client)
    except AuthenticationError:
        return MemoryReport(reachable=False, error="the memory refuses the password of the Secret")
    except (RedisError, OSError, TimeoutError) as error:
        return MemoryReport(reachable=False, error=f"the memory cannot be reached: {type(error).__name__}")
    return MemoryReport.of(info, keys)


async def _figures(client: Any) -> dict[str, Any]:  # noqa: ANN401 - redis is imported late
    """Nothing where the server does not tell of itself, or not to this user."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 - paid for only with a memory

    try:
        return dict(await client.info())
    except ResponseError:
        return {}


def open_client(memory: GatewayMemory, root: str, redactor: Redactor) -> Any:  # noqa: ANN401 - redis is imported late
    """A client for `memory`; nothing is connected yet."""
    from redis.asyncio import Redis  # noqa: PLC0415 - paid for only with a memory
    from redis.credentials import CredentialProvider  # noqa: PLC0415 - likewise

    parts = urlsplit(memory.url)
    folder = None if memory.credentials is None else Path(relocate(memory.credentials, root))

    class Mounted(CredentialProvider):
        """Asked at each connection."""

        def get_credentials(self) -> tuple[str, ...]:  # type: ignore[override]  # redis names two lengths
            password = _read_word(folder, "password")
            if password is None:
                return ()
            redactor.add(password)
            user = unquote(parts.username or "") or _read_word(folder, "username")
            return (user, password) if user else (password,)

        async def get_credentials_async(self) -> tuple[str, ...]:  # type: ignore[override]  # likewise
            return self.get_credentials()  # redis' own logs a warning at each connection

    authority = folder / "ca.crt" if folder and (folder / "ca.crt").is_file() else None
    return Redis(
        host=parts.hostname or "",
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or "0"),
        credential_provider=Mounted(),
        socket_timeout=REDIS_TIMEOUT_S,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        ssl=parts.scheme == "rediss",
        ssl_ca_certs=str(authority) if authority else None,
    )


def _read_word(folder: Path | None, name: str) -> str | None:
    if folder is None or not (folder / name).is_file():
        return None
    return (folder / name).read_text("utf-8").strip() or None
