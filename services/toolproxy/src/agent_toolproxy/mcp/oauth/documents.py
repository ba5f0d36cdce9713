"""JSON documents and answers of authorization servers: asked without redirects, bounded, and never believed whole."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from yarl import URL

from agent_kit.bodies import read_at_most
from agent_toolproxy.boundedjson import load_json
from agent_toolproxy.errors import InstallError, UpstreamAuth, UpstreamUnavailable
from agent_toolproxy.network.addresspolicy import AddressPolicy

Json = dict[str, Any]
_LARGEST_BYTES: Final = 256 << 10
_MOST_VALUES: Final = 10_000
_TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=5)


class DocumentClient:
    """Asks one URL after the other. The address policy judges each."""

    def __init__(self, session: aiohttp.ClientSession, addresses: AddressPolicy) -> None:
        self._session = session
        self._addresses = addresses

    async def get(self, url: str) -> Json | None:
        """The document, None when there is none. Raises UpstreamAuth, UpstreamUnavailable."""
        status, document = await self._ask("GET", url, {"Accept": "application/json"}, None)
        return document if status == 200 else None

    async def post_form(self, url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> tuple[int, Json]:
        """Status and answer; an answer that is no JSON object is an empty one. Raises as `get`."""
        data = aiohttp.FormData(dict(form))
        status, document = await self._ask("POST", url, {"Accept": "application/json", **headers}, data)
        return status, document or {}

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], data: aiohttp.FormData | None
    ) -> tuple[int, Json | None]:
        host = URL(url, encoded=True).host or url
        try:
            await self._addresses.check_url(url)
            async with self._session.request(
                method, URL(url, encoded=True), headers=headers, data=data, allow_redirects=False, timeout=_TIMEOUT
            ) as answer:
                return answer.status, await _read(answer)
        except InstallError as problem:  # of the address policy
            raise UpstreamAuth(f"its authorization server cannot be asked: {problem}") from problem
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise UpstreamUnavailable(f"the authorization server {host} cannot be reached") from problem


async def _read(answer: aiohttp.ClientResponse) -> Json | None:
    body = await read_at_most(_LARGEST_BYTES, answer.content.iter_any())
    if body is None:
        return None
    try:
        document = load_json(body, deepest=16, most_values=_MOST_VALUES)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
