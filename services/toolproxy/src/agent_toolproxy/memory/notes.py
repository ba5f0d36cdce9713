"""What an agent keeps: texts under keys, apart from those of other agents on the same server."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from agent_api.memoryreport import MemoryReport
from agent_toolproxy.errors import InvalidArguments, MemoryUnavailable
from agent_toolproxy.memory.redisclient import CommandError, RedisClient

LONGEST_KEY_CHARS: Final = 512
LONGEST_VALUE_CHARS: Final = 1 << 20
LARGEST_GROWN_BYTES: Final = 1 << 20
"""How large a value may become by appending."""
LONGEST_TTL_S: Final = 10 * 365 * 86400
MOST_KEYS: Final = 1000
MOST_FOUND_BYTES: Final = 8 << 20
_SCAN_COUNT: Final = 500
_MOST_SCANS: Final = 2000
_GLOB: Final = re.compile(r"([\[\]*?\\])")


@dataclass(frozen=True)
class Note:
    """A value and the seconds it has left; None is for ever."""

    value: str
    ttl_s: int | None


class Notes:
    """Texts under keys. Every method raises MemoryUnavailable, and InvalidArguments for keys and values too large."""

    def __init__(self, client: RedisClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def get(self, key: str) -> Note | None:
        """What is under `key`; None when there is nothing."""
        full = self._full(key)
        value = await self._do("GETRANGE", full, 0, LARGEST_GROWN_BYTES * 4)
        if not isinstance(value, bytes) or (not value and not await self._do("EXISTS", full)):
            return None
        ttl_ms = await self._do("PTTL", full)
        left = max(1, round(ttl_ms / 1000)) if ttl_ms >= 0 else None
        return Note(value.decode("utf-8", "replace"), left)

    async def set(self, key: str, value: str, ttl_s: int | None = None) -> None:
        """Put `value` under `key`, for `ttl_s` seconds or for ever."""
        data = _checked(value)
        if ttl_s is not None and not 1 <= ttl_s <= LONGEST_TTL_S:
            raise InvalidArguments(f"ttlSeconds: must be from 1 to {LONGEST_TTL_S}")
        await self._do("SET", self._full(key), data, *(("EX", ttl_s) if ttl_s else ()))

    async def append(self, key: str, value: str) -> int:
        """Add `value` to the end of what is under `key`; the length in bytes afterwards."""
        full, data = self._full(key), _checked(value)
        length = await self._do("STRLEN", full)
        if length + len(data) > LARGEST_GROWN_BYTES:
            raise InvalidArguments(f"value: {key!r} would become larger than {LARGEST_GROWN_BYTES} bytes")
        after = await self._do("APPEND", full, data)
        return int(after)

    async def delete(self, key: str) -> bool:
        """Whether there was something under `key`."""
        return bool(await self._do("DEL", self._full(key)) == 1)

    async def keys(self, prefix: str = "", limit: int = MOST_KEYS) -> list[str]:
        """At most `limit` keys that begin with `prefix`, sorted."""
        if len(prefix) > LONGEST_KEY_CHARS:
            raise InvalidArguments(f"prefix: must have at most {LONGEST_KEY_CHARS} characters")
        pattern = _GLOB.sub(r"\\\1", self._prefix + prefix) + "*"
        found: set[bytes] = set()
        cursor = 0
        for _ in range(_MOST_SCANS):
            cursor, page = await self._do("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)
            found.update(page)
            if cursor == 0:
                break
        names = sorted(each.decode("utf-8", "replace").removeprefix(self._prefix) for each in found)
        return names[: min(limit, MOST_KEYS)]

    async def search(self, prefix: str, limit: int) -> dict[str, str]:
        """Keys that begin with `prefix`, and their values; keys that do not hold text are left out.

        Reading ends at `MOST_FOUND_BYTES`.
        """
        found: dict[str, str] = {}
        left_bytes = MOST_FOUND_BYTES
        for name in await self.keys(prefix, limit):
            with suppress(InvalidArguments):
                value = await self._do("GETRANGE", self._full(name), 0, left_bytes - 1)
                found[name] = value.decode("utf-8", "replace")
                left_bytes -= len(value)
            if left_bytes <= 0:
                break
        return found

    async def probe(self, redact: Callable[[str], str] = str) -> MemoryReport:
        """Whether the memory can be used, and how much it holds."""
        try:
            keys = await self._do("DBSIZE")
            figures = await self._figures()
        except (MemoryUnavailable, InvalidArguments) as error:
            return MemoryReport(reachable=False, error=redact(str(error)))
        return MemoryReport.of(figures, keys)

    async def _figures(self) -> dict[str, Any]:
        """Empty where the server says nothing of itself, or not to this user."""
        try:
            return dict(await self._client.execute("INFO"))
        except (CommandError, MemoryUnavailable):
            return {}

    async def close(self) -> None:
        await self._client.close()

    def _full(self, key: str) -> str:
        if not 1 <= len(key) <= LONGEST_KEY_CHARS:
            raise InvalidArguments(f"key: must have 1 to {LONGEST_KEY_CHARS} characters")
        return self._prefix + key

    async def _do(self, *parts: str | bytes | int) -> Any:  # noqa: ANN401 - each command has its own reply
        try:
            return await self._client.execute(*parts)
        except CommandError as error:
            if str(error).startswith("WRONGTYPE"):
                raise InvalidArguments("key: it holds something that is not text") from error
            raise MemoryUnavailable(f"the memory refused {parts[0]!s}: {error}") from error


def _checked(value: str) -> bytes:
    if len(value) > LONGEST_VALUE_CHARS:
        raise InvalidArguments(f"value: must have at most {LONGEST_VALUE_CHARS} characters")
    return value.encode("utf-8", "surrogatepass")
