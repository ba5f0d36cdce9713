"""What every test layer shares."""

import asyncio


def pytest_configure() -> None:
    """Says that there is no event loop yet.

    Before Python 3.12 asking for one makes one, and pytest-asyncio asks before its first test and never closes it.
    """
    asyncio.set_event_loop(None)
