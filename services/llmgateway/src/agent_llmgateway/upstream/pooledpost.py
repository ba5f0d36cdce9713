"""A POST of a small body, straight to a connection of the pool.

aiohttp's session first makes a request that may be anything (forms, cookies, redirects, proxies, traces), and then
a task that writes its body while the answer is read. What a gateway sends most are some kilobytes to one of a few
addresses: that takes a connection, one write, and the head of the answer.
"""

from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from aiohttp.helpers import TimerNoop
from aiohttp.http import StreamWriter
from multidict import CIMultiDict
from yarl import URL

SMALL_BYTES: Final = 1 << 16
"""A body up to this is taken by the transport at once, whether or not the peer reads on."""
MOST_ADDRESSES: Final = 256
"""Addresses that are remembered: those of the providers, and of former configurations."""
_OF_THE_HOP: Final = (hdrs.HOST, hdrs.PROXY_AUTHORIZATION)
_NO_TIMER: Final = TimerNoop()
"""The gateway's own deadlines are used instead."""


class PooledPost:
    """Sends over connections of `connector`, which is that of `session`."""

    def __init__(self, session: aiohttp.ClientSession, connector: aiohttp.TCPConnector, read_bytes: int) -> None:
        self._session = session
        self._connector = connector
        self._read_bytes = read_bytes
        self._addresses: dict[URL, aiohttp.ClientRequest] = {}

    async def send(
        self, url: URL, body: bytes, headers: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """The answer, as soon as its head is there. Raises what the session raises."""
        origin = url.origin()
        address = self._addresses.get(origin) or self._add_address(origin)
        try:
            connection = await self._connector.connect(address, [], limits)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        try:
            return await self._ask(connection, address, url, body, headers)
        except BaseException:
            connection.close()
            raise

    def _add_address(self, origin: URL) -> aiohttp.ClientRequest:
        """What a connector has to know of where it connects to; the path and the headers are each request's own."""
        if len(self._addresses) >= MOST_ADDRESSES:
            self._addresses.clear()
        address = aiohttp.ClientRequest(hdrs.METH_POST, origin, session=self._session)
        self._addresses[origin] = address
        return address

    async def _ask(
        self, connection: Connection, address: aiohttp.ClientRequest, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        answer = aiohttp.ClientResponse(
            hdrs.METH_POST,
            url,
            writer=None,
            continue100=None,
            timer=_NO_TIMER,
            request_info=address.request_info,
            traces=[],
            loop=address.loop,
            session=self._session,
            stream_writer=await self._write(connection, address, url, body, headers),
        )
        try:
            return await answer.start(connection)
        except BaseException:
            answer.close()
            raise

    async def _write(
        self, connection: Connection, address: aiohttp.ClientRequest, url: URL, body: bytes, headers: Mapping[str, str]
    ) -> StreamWriter:
        """Hand everything to the transport, and wait for nothing: an early answer is read all the same."""
        protocol = connection.protocol
        if protocol is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            timer=_NO_TIMER, read_until_eof=True, auto_decompress=False, read_bufsize=self._read_bytes
        )
        head = CIMultiDict({name: address.headers[name] for name in _OF_THE_HOP if name in address.headers})
        head.update(headers)
        head[hdrs.CONTENT_LENGTH] = str(len(body))
        writer = StreamWriter(protocol, address.loop)
        whole = address.proxy is not None and not address.is_ssl()  # a proxy must be told whom it is for
        await writer.write_headers(f"POST {url if whole else url.raw_path_qs} HTTP/1.1", head)
        await writer.write(body, drain=False)
        return writer
