"""Connections out of a service, through the company's proxy where the environment names one.

aiohttp's `trust_env` reads the environment for each request, in two threads, and knows no networks in NO_PROXY. The
connector is where every request passes, also those that are not made by a session.
"""

from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from agent_base.proxies import ProxyRules

if TYPE_CHECKING:
    from aiohttp.connector import Connection


class ProxiedConnector(aiohttp.TCPConnector):
    """Chooses the proxy of each request by `rules`, unless the request brings one."""

    def __init__(self, rules: ProxyRules, **options: Any) -> None:  # noqa: ANN401 - aiohttp's own
        super().__init__(**options)
        self._rules = rules

    async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> "Connection":  # noqa: ANN401, ASYNC109 - aiohttp's own
        """A connection for `req`, whose proxy is decided first: it is a part of the pool's key."""
        if self._rules.active and req.proxy is None and (proxy := self._rules.for_url(str(req.url))) is not None:
            address = URL(proxy)
            auth = aiohttp.BasicAuth(address.user, address.password or "") if address.user else None
            req.update_proxy(address.with_user(None), auth, None)
        return await super().connect(req, traces, timeout)
