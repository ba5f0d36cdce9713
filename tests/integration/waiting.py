"""Waiting for the world to be as it should: only how long at most is ever said."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

T = TypeVar("T")

PATIENCE_S = float(os.environ.get("PATIENCE_S", "90"))


async def eventually(look: Callable[[], Awaitable[T | None]], *, within_s: float = PATIENCE_S) -> T:
    """What `look` gives as soon as it is true and raises nothing; else its last failure."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            found = await look()
            if found or time.monotonic() > deadline:
                assert found, f"still {found!r} after {within_s:g} s"
                return found
        except (AssertionError, aiohttp.ClientError):
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.05)


async def throughout(look: Callable[[], Awaitable[None]], *, for_s: float) -> None:
    """Asserts by `look` again and again for a while."""
    deadline = time.monotonic() + for_s
    while time.monotonic() < deadline:
        await look()
        await asyncio.sleep(0.02)
