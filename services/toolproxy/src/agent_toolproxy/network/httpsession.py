"""The one HTTP client of the process: every connection it makes goes through the address policy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from agent_base.proxies import ProxyRules
from agent_kit.outbound import ProxiedConnector
from agent_toolproxy.network.addresspolicy import AddressPolicy, PolicyResolver


@asynccontextmanager
async def open_session(addresses: AddressPolicy, proxies: ProxyRules) -> AsyncIterator[aiohttp.ClientSession]:
    """A session without cookies or a limit on one server's connections.

    What goes through a proxy is resolved there: which addresses it may lead to is the proxy's to judge.
    """
    resolver = PolicyResolver(addresses, proxies.addresses)
    connector = ProxiedConnector(proxies, resolver=resolver, ttl_dns_cache=10, limit=0, keepalive_timeout=15)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        headers={"User-Agent": "agentberth-toolproxy"},
    ) as session:
        yield session
