"""Pages of a list, whose memory is bounded whatever somebody has put into the cluster."""

from collections.abc import Mapping
from typing import Any

from agent_kube.client.client import Client
from agent_kube.errors import AnswerTooLarge
from agent_kube.source import Source


class Pager:
    """Reads the pages of one kind in one scope: `size` objects each, fewer from then on where that is too much.

    A page exceeds `max_bytes` only when a single object does, which the server bounds.
    """

    def __init__(self, client: Client, source: Source[Any], scope: str, *, size: int, max_bytes: int) -> None:
        self._client = client
        self._source = source
        self._scope = scope
        self._size = size
        self._max_bytes = max_bytes

    async def read(self, query: Mapping[str, str], token: str, *, paged: bool = True) -> bytes:
        """The page at `token`, undecoded; the whole list when not `paged`, which is for a token that has expired."""
        if not paged:
            return await self._ask(query, None)
        position = {"continue": token} if token else {}
        while True:
            asked = {**query, "limit": str(self._size), **position}
            try:
                return await self._ask(asked, self._max_bytes if self._size > 1 else None)
            except AnswerTooLarge:
                self._size //= 2

    async def _ask(self, query: Mapping[str, str], max_bytes: int | None) -> bytes:
        accept = self._source.accept_list
        return await self._client.list_page(
            self._source.resource, self._scope, query, accept=accept, max_bytes=max_bytes
        )
