"""The API server as a Pod reaches it: with its ServiceAccount, whose token the kubelet renews.

Not through the operator's runtime, which the command does not bring: all that is needed here is to read.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from agentberth.console.access import Api
from agentberth.errors import CommandError

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_CURE: Final = "run it in a Pod whose service account token is mounted, as deploy/components/console does"


@asynccontextmanager
async def in_cluster(environ: Mapping[str, str], *, account: Path = ACCOUNT) -> AsyncIterator[Api]:
    """Raises CommandError outside of a Pod."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise CommandError("this is not a Pod: KUBERNETES_SERVICE_HOST is not set", cure=_CURE)
    try:
        tls = await asyncio.to_thread(ssl.create_default_context, cafile=str(account / "ca.crt"))
        await asyncio.to_thread((account / "token").read_bytes)
    except OSError as error:
        raise CommandError(f"{account}: the service account cannot be read: {error.strerror}", cure=_CURE) from error

    async def authorize(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        token = await asyncio.to_thread((account / "token").read_text)
        request.headers["Authorization"] = f"Bearer {token.strip()}"
        return await handler(request)

    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    async with aiohttp.ClientSession(connector=connector, middlewares=(authorize,)) as session:
        yield Api(session, f"https://{authority}")
