"""What every test layer shares."""

import asyncio

from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """Says that there is no event loop yet, and that a slow machine is no failure.

    Before Python 3.12 asking for one makes one, and pytest-asyncio asks before its first test and never closes it.
    """
    asyncio.set_event_loop(None)
    settings.register_profile("agentberth", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("agentberth")
