"""Waiting for what another process will do."""

import time
from collections.abc import Callable

PATIENCE_S = 120.0


def eventually(look: Callable[[], object], *, what: Callable[[], str]) -> None:
    """Returns once `look` is true; fails with `what()` when it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)
