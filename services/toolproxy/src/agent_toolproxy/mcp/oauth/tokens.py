"""The token of one server: asked for when it is needed, by one at a time, and kept until shortly before its end."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from agent_api.toolsconfig import ToolOauth
from agent_toolproxy.credentials import Credentials
from agent_toolproxy.errors import ToolNotReady, UpstreamAuth
from agent_toolproxy.mcp.oauth.challenge import bearer_challenge
from agent_toolproxy.mcp.oauth.discovery import TokenEndpoint, find_endpoint, find_issuer
from agent_toolproxy.mcp.oauth.documents import DocumentClient
from agent_toolproxy.mcp.oauth.grants import AccessToken, request_token

EARLY_S: Final = 30.0
"""Before its end a token is replaced; of one that lives shorter, half of its life."""

_MOST_MASKED: Final = 16
"""Tokens that are masked in what a server says: the last ones. Masking all of a year would slow down every answer."""


class TokenSource:
    """Authorizes the requests to one server. `url` is the server's, without its query."""

    def __init__(
        self,
        url: str,
        options: ToolOauth,
        credentials: Credentials,
        documents: DocumentClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._options = options
        self._credentials = credentials
        self._documents = documents
        self._clock = clock
        self._endpoint = TokenEndpoint(url=options.token_url) if options.token_url else None
        self._scope = " ".join(options.scopes)
        self._token: AccessToken | None = None
        self._until = float("-inf")
        self._masked = deque[str]()
        self._one_at_a_time = asyncio.Lock()

    async def headers(self) -> Mapping[str, str]:
        """None yet where only the server's refusal can say whose token it wants. Raises UpstreamError."""
        async with self._one_at_a_time:
            if self._endpoint is None and not self._options.issuer:
                return {}
            if self._token is None or self._clock() >= self._until:
                await self._ask({})
            return {"Authorization": f"Bearer {self._token.value}"} if self._token else {}

    async def renew(self, sent: Mapping[str, str], challenges: Iterable[str]) -> bool:
        """Whether there is another token than the one in `sent`, which was refused. Raises UpstreamError."""
        async with self._one_at_a_time:
            if self._token is None or sent.get("Authorization") == f"Bearer {self._token.value}":
                await self._ask(bearer_challenge(challenges))
            return True

    async def _ask(self, challenge: Mapping[str, str]) -> None:
        self._token = None
        scope = self._scope or challenge.get("scope", "")
        try:
            endpoint = self._endpoint or await self._find(challenge)
            asked_at = self._clock()
            token = await request_token(
                self._documents, endpoint, self._options, self._credentials, resource=self._url, scope=scope
            )
        except ToolNotReady as error:
            raise UpstreamAuth(str(error)) from error
        self._endpoint, self._token = endpoint, token
        self._masked.append(token.value)
        if len(self._masked) > _MOST_MASKED:
            self._credentials.forget(self._masked.popleft())
        self._until = asked_at + max(token.lives_s - EARLY_S, token.lives_s / 2)

    async def _find(self, challenge: Mapping[str, str]) -> TokenEndpoint:
        issuer = self._options.issuer or await find_issuer(self._documents, self._url, challenge)
        return await find_endpoint(self._documents, issuer)
