"""Waiting for what the cluster will do, and saying what it did instead."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_S = 90.0
PAUSE_S = 0.25


def eventually(
    look: Callable[[], T | None], *, what: str, explain: Callable[[], str] = str, timeout_s: float = TIMEOUT_S
) -> T:
    """What `look` finds, once it finds something. Fails with `explain()` when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:.0f} s\n{explain()}")
        time.sleep(PAUSE_S)
