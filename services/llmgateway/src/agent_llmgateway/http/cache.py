"""Answers kept for requests that are the same to the byte, and one upstream request for equal ones in flight.

Off unless switched on: two equal prompts are often meant to give two answers. Streams are never kept.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, Literal, TypeVar

from agent_api.gatewayconfig import GatewayCache

T = TypeVar("T")
Source = Literal["miss", "hit", "coalesced"]


class AnswerCache(Generic[T]):
    """The newest `entries` answers, each for `ttl_seconds`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, T]] = OrderedDict()
        self._in_flight: dict[bytes, asyncio.Future[T]] = {}

    async def get(
        self, settings: GatewayCache, parts: tuple[bytes, ...], make: Callable[[], Awaitable[T]]
    ) -> tuple[T, Source]:
        """The answer to the request that `parts` are, made once. What `make` raises is raised for all who wait."""
        key = hashlib.sha256(b"\0".join(parts)).digest()
        if settings.enabled and (kept := self._find(key)) is not None:
            return kept, "hit"
        if settings.coalesce and key in self._in_flight:
            try:
                return await asyncio.shield(self._in_flight[key]), "coalesced"
            except asyncio.CancelledError:
                if not self._in_flight_cancelled(key):
                    raise
        return await self._make(settings, key, make), "miss"

    async def _make(self, settings: GatewayCache, key: bytes, make: Callable[[], Awaitable[T]]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = future
        try:
            made = await make()
        except asyncio.CancelledError:
            future.cancel()
            raise
        except Exception as error:
            future.set_exception(error)
            future.exception()  # nobody may be waiting
            raise
        finally:
            if self._in_flight.get(key) is future:
                del self._in_flight[key]
        future.set_result(made)
        if settings.enabled:
            self._keep(settings, key, made)
        return made

    def _in_flight_cancelled(self, key: bytes) -> bool:
        """Whether it was the maker that was cancelled, and not the one that waits."""
        task = asyncio.current_task()
        return key not in self._in_flight and not (task and task.cancelling())

    def _find(self, key: bytes) -> T | None:
        found = self._kept.get(key)
        if found is None or found[0] < self._clock():
            self._kept.pop(key, None)
            return None
        self._kept.move_to_end(key)
        return found[1]

    def _keep(self, settings: GatewayCache, key: bytes, made: T) -> None:
        self._kept[key] = (self._clock() + settings.ttl_seconds, made)
        while len(self._kept) > settings.entries:
            self._kept.popitem(last=False)
