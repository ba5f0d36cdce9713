"""A server's lists, page by page: bounded in pages, entries, characters and time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.errors import UpstreamProtocol
from agent_toolproxy.mcp.messages import Json

MOST_ENTRIES: Final = 5000
_MOST_PAGES: Final = 100
_LARGEST_LIST_CHARS: Final = 8 << 20
AskPage = Callable[[str, Json], Awaitable[Json]]


async def list_all(ask: AskPage, method: str, key: str, timeout_s: float) -> list[Any]:
    """What is under `key` on all pages, each still to be checked. Raises UpstreamError, TimeoutError."""
    entries: list[Any] = []
    size = 0
    seen: set[str] = set()
    params: Json = {}
    async with asyncio.timeout(timeout_s):
        for _ in range(_MOST_PAGES):
            page = await ask(method, params)
            found = page.get(key)
            if not isinstance(found, list):
                raise UpstreamProtocol(f"the answer to {method} has no {key}")
            entries += found
            size += len(dump_json(found))
            if len(entries) > MOST_ENTRIES or size > _LARGEST_LIST_CHARS:
                raise UpstreamProtocol(
                    f"{method} has more than {MOST_ENTRIES} {key}, or more than {_LARGEST_LIST_CHARS} characters"
                )
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str) or cursor in seen:
                break
            seen.add(cursor)
            params = {"cursor": cursor}
    return entries
