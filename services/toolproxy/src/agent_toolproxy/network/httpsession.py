"""The one HTTP client of the process: every connection it makes goes through the network guard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from agent_toolproxy.network.guard import GuardedResolver, NetworkGuard


@asynccontextmanager
async def open_session(guard: NetworkGuard) -> AsyncIterator[aiohttp.ClientSession]:
    """A session without cookies, proxies of the environment, or a limit on one server's connections."""
    connector = aiohttp.TCPConnector(resolver=GuardedResolver(guard), ttl_dns_cache=10, limit=0, keepalive_timeout=15)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "agentberth-toolproxy"},
    ) as session:
        yield session
