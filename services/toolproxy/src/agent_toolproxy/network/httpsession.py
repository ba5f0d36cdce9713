"""The one HTTP client of the process: every connection it makes goes through the address policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from agent_toolproxy.network.addresspolicy import AddressPolicy, PolicyResolver


@asynccontextmanager
async def open_session(addresses: AddressPolicy) -> AsyncIterator[aiohttp.ClientSession]:
    """A session without cookies, proxies of the environment, or a limit on one server's connections."""
    connector = aiohttp.TCPConnector(
        resolver=PolicyResolver(addresses), ttl_dns_cache=10, limit=0, keepalive_timeout=15
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "agentberth-toolproxy"},
    ) as session:
        yield session
