"""Where spent tokens and money are counted: in a file of the Pod, and in the agent's Redis when it has one.

The file survives a restart of the container. Redis makes the count one over all replicas; while it cannot be
reached, a replica goes on with what it knows, rather than to stop the agent or to forget what was spent.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from agent_llmgateway.budget.memory import REDIS_TIMEOUT_S

_log = logging.getLogger(__name__)

HOUR_S: Final = 3600
DAY_S: Final = 86_400
MICRO: Final = 1_000_000
"""Money is counted in millionths of a dollar: whole numbers add up the same on every replica."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in the windows that `hour` and `day` number."""

    hour: int = 0
    tokens: int = 0
    day: int = 0
    micro_usd: int = 0

    def at(self, now_epoch_s: float) -> "Spent":
        """The same in the windows of now: a window that has passed is empty."""
        hour, day = int(now_epoch_s // HOUR_S), int(now_epoch_s // DAY_S)
        return Spent(
            hour, self.tokens if hour == self.hour else 0, day, self.micro_usd if day == self.day else 0
        )  # fmt: skip

    def plus(self, tokens: int, micro_usd: int) -> "Spent":
        """With more spent."""
        return replace(self, tokens=self.tokens + tokens, micro_usd=self.micro_usd + micro_usd)


class Ledger(Protocol):
    """A count that outlives the process."""

    async def read(self) -> Spent:
        """What is spent in the present windows."""
        ...

    async def add(self, tokens: int, micro_usd: int) -> Spent:
        """Count more; the new sums."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class FileLedger:
    """A small file, replaced whole. One process writes it."""

    def __init__(self, path: Path, now_epoch_s: Callable[[], float]) -> None:
        self._path = path
        self._now_epoch_s = now_epoch_s
        self._spent = _load(path)
        self._dirty = asyncio.Event()
        self._writing = asyncio.Lock()

    async def read(self) -> Spent:
        """See `Ledger`."""
        self._spent = self._spent.at(self._now_epoch_s())
        return self._spent

    async def add(self, tokens: int, micro_usd: int) -> Spent:
        """See `Ledger`. The file follows at once, written by `run`."""
        self._spent = (await self.read()).plus(tokens, micro_usd)
        self._dirty.set()
        return self._spent

    async def run(self) -> None:
        """Write the file whenever something was added, for ever."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._write()

    async def close(self) -> None:
        """Write what is not written yet."""
        await self._write()

    async def _write(self) -> None:
        """One at a time: two would share a draft, and the older count could be the last."""
        async with self._writing:
            await asyncio.to_thread(_store, self._path, self._spent)


class RedisLedger:
    """The agent's Redis; `backup` counts along and answers while Redis cannot be reached."""

    def __init__(self, client: Any, prefix: str, backup: FileLedger, now_epoch_s: Callable[[], float]) -> None:  # noqa: ANN401 - redis is imported late
        self._client = client
        self._prefix = prefix
        self._backup = backup
        self._now_epoch_s = now_epoch_s
        self.error = ""

    async def read(self) -> Spent:
        """See `Ledger`. Never less than this replica has counted itself."""
        own = await self._backup.read()
        hour_key, day_key = self._keys(own)
        values = await self._ask("MGET", lambda: self._client.mget(hour_key, day_key))
        if values is None:
            return own
        tokens, micro_usd = (int(value or 0) for value in values)
        return replace(own, tokens=max(own.tokens, tokens), micro_usd=max(own.micro_usd, micro_usd))

    async def add(self, tokens: int, micro_usd: int) -> Spent:
        """See `Ledger`."""
        own = await self._backup.add(tokens, micro_usd)
        hour_key, day_key = self._keys(own)

        async def send() -> Any:  # noqa: ANN401 - redis' answers
            pipe = self._client.pipeline(transaction=True)
            pipe.incrby(hour_key, tokens)
            pipe.expire(hour_key, 2 * HOUR_S)
            pipe.incrby(day_key, micro_usd)
            pipe.expire(day_key, 2 * DAY_S)
            return await pipe.execute()

        sums = await self._ask("INCRBY", send)
        if sums is None:
            return own
        return replace(own, tokens=max(own.tokens, int(sums[0])), micro_usd=max(own.micro_usd, int(sums[2])))

    async def close(self) -> None:
        """See `Ledger`."""
        await self._client.aclose()
        await self._backup.close()

    def _keys(self, spent: Spent) -> tuple[str, str]:
        return f"{self._prefix}:tokens:{spent.hour}", f"{self._prefix}:usd:{spent.day}"

    async def _ask(self, what: str, send: Callable[[], Any]) -> Any:  # noqa: ANN401 - redis' answers
        """The answer, or None when there is none; said once per outage."""
        from redis.exceptions import RedisError  # noqa: PLC0415 - paid for only with a memory

        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                answer = await send()
        except (RedisError, OSError, TimeoutError) as error:
            if not self.error:
                _log.warning("the budget cannot be shared: %s failed with %s", what, type(error).__name__)
            self.error = type(error).__name__
            return None
        self.error = ""
        return answer


def _load(path: Path) -> Spent:
    try:
        document = json.loads(path.read_bytes())
        return Spent(*(int(document[name]) for name in ("hour", "tokens", "day", "micro_usd")))
    except FileNotFoundError:
        return Spent()
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("%s cannot be read (%s): the budget starts at nothing spent", path, type(error).__name__)
        return Spent()


def _store(path: Path, spent: Spent) -> None:
    document = {"hour": spent.hour, "tokens": spent.tokens, "day": spent.day, "micro_usd": spent.micro_usd}
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(document))
        os.replace(draft, path)  # noqa: PTH105 - the atomic one
    except OSError as error:
        _log.warning("%s cannot be written (%s): a restart would forget what was spent", path, error.strerror)
