"""The only place where aiohttp's client is touched: requests out, raw chunks back, its errors made failures.

One session for everything, without a limit of connections (a limit is a queue nobody sees), without cookies,
without decompression, without redirects: a provider that redirects a key is not followed.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from http.cookies import SimpleCookie
from io import BytesIO
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import aiohttp
from aiohttp.http_parser import HttpResponseParser, HttpResponseParserPy
from multidict import CIMultiDictProxy
from yarl import URL

from agent_base.proxies import ProxyRules
from agent_kit.outbound import ProxiedConnector
from agent_llmgateway.errors import AttemptError, GatewayError
from agent_llmgateway.providererrors.classify import broken_failure, network_failure, silent_failure
from agent_llmgateway.upstream.deadline import Deadline, Watch
from agent_llmgateway.upstream.inflate import Inflater
from agent_llmgateway.upstream.pooledpost import SMALL_BYTES, PooledPost

_fresh_only: ContextVar[bool] = ContextVar("agent_llmgateway_fresh_only", default=False)
_reused: ContextVar[bool] = ContextVar("agent_llmgateway_reused", default=False)

KEEP_ALIVE_S: Final = 60.0
PLAIN_BYTES: Final = 1 << 20
"""Larger bodies are given to aiohttp as a file: it writes those piece by piece and lets others run in between."""
READ_BYTES: Final = 1 << 14
"""Of an answer that nobody has read yet: at twice as many its provider is made to wait."""
CHUNK_BYTES: Final = 1 << 15
"""Most that is read at once: so much of a stream waits for a client that does not read."""
ANSWER_COPIES: Final = 3
"""Of a whole answer: in pieces, in one piece, and as the client gets it."""
_FIRST_BYTES_LOST: Final = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectionResetError,
)


class _Connector(ProxiedConnector):
    """Says whether a request went over a connection that had been used before, and can be told to take a new one."""

    async def _get(self, key: Any, traces: Any) -> aiohttp.connector.Connection | None:  # noqa: ANN401 - aiohttp's
        connection = None if _fresh_only.get() else await super()._get(key, traces)
        _reused.set(connection is not None)
        return connection


class _NoCookies(aiohttp.DummyCookieJar):
    """Neither takes nor gives; the library's own makes a new empty one for each request."""

    def __init__(self) -> None:
        super().__init__()
        self._none: SimpleCookie = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> SimpleCookie:  # noqa: ARG002 - aiohttp's
        return self._none


class UpstreamResponse:
    """An answer whose body is still to come. Must be closed.

    A body that is compressed although that was not asked for is given out as it was before.
    """

    __slots__ = ("_inflater", "_peeked", "_response", "_watch", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._watch: Watch | None = None
        self._peeked = b""
        encoding = response.headers.get("content-encoding")
        self._inflater = Inflater(encoding) if encoding else None
        self.status = response.status
        self.headers: CIMultiDictProxy[str] = response.headers

    async def read_chunk(self, timeout_s: float) -> bytes:
        """The bytes that are there, or come within `timeout_s`; empty at the end.

        Raises AttemptError: silent when nothing came, broken when the connection ended before the body did.
        """
        if self._peeked:
            chunk, self._peeked = self._peeked, b""
            return chunk
        if self._inflater is None:
            return await self._read_raw(timeout_s)
        while not (chunk := self._inflater.read()):
            raw = await self._read_raw(timeout_s)
            if not raw:
                return b""
            self._inflater.feed(raw)
        return chunk

    async def peek(self, timeout_s: float) -> bytes:
        """The next chunk, which `read_chunk` will give once more."""
        self._peeked = self._peeked or await self.read_chunk(timeout_s)
        return self._peeked

    async def skip_blank(self, timeout_s: float) -> None:
        """Pass over white space, by which some servers keep a connection. Raises AttemptError when nothing follows."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_s
        while (chunk := await self.peek(max(0.0, ends_at - loop.time()))) and not chunk.strip():
            self._peeked = b""

    async def _read_raw(self, timeout_s: float) -> bytes:
        watch = self._watch
        if watch is None:
            watch = self._watch = Watch()
        watch.arm(timeout_s)
        try:
            return await self._response.content.read(CHUNK_BYTES)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not watch.expired or (task is not None and task.uncancel()):
                raise
            raise AttemptError(silent_failure(f"nothing came for {timeout_s:.3g} s")) from None
        except (aiohttp.ClientError, OSError) as error:
            raise AttemptError(broken_failure("the connection ended in the middle of the answer")) from error
        finally:
            watch.disarm()

    def read_ready(self) -> bytes | None:
        """The whole body when all of it is there already, as it is for most whole answers; else None, and untouched."""
        content = self._response.content
        if self._peeked or self._inflater is not None or not content.is_eof() or content.exception() is not None:
            return None
        return content.read_nowait()

    async def read_all(self, limit_bytes: int, idle_s: float, total_s: float, hold: Callable[[int], bool]) -> bytes:
        """The whole body. Raises AttemptError, also when it is over the limit or not there after `total_s`.

        `hold` says whether there is memory for so many bytes more.
        """
        first = await self.read_chunk(min(idle_s, total_s))
        if self._response.content.at_eof() and self._inflater is None:
            return first
        ends_at = asyncio.get_running_loop().time() + total_s
        chunks, size = [first], len(first)
        while chunk := await self.read_chunk(min(idle_s, max(0.0, ends_at - asyncio.get_running_loop().time()))):
            size += len(chunk)
            if size > limit_bytes:
                raise AttemptError(broken_failure(f"the answer is larger than {limit_bytes} bytes"))
            if not hold(len(chunk) * ANSWER_COPIES):
                raise AttemptError(broken_failure("the answer is larger than the memory that is left for answers"))
            chunks.append(chunk)
        return b"".join(chunks)

    @property
    def ended(self) -> bool:
        """Whether the body was read to its end."""
        return self._response.content.at_eof()

    def close(self) -> None:
        """Cut the connection, so that nobody generates on; at the end of the body it has gone back by itself."""
        if self._watch is not None:
            self._watch.close()
        if not self._response.content.at_eof():
            self._response.close()


class Upstream:
    """The client of all providers. Use as an async context manager, which ends all connections."""

    def __init__(self, proxies: ProxyRules | None = None) -> None:
        rules = proxies or ProxyRules()
        connector = _Connector(rules, limit=0, limit_per_host=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=30)
        self._session = aiohttp.ClientSession(
            connector=connector, cookie_jar=_NoCookies(), auto_decompress=False, read_bufsize=READ_BYTES
        )
        self._small = PooledPost(self._session, connector, READ_BYTES)
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def post(
        self, url: URL, body: bytes, headers: Mapping[str, str], *, connect_s: float, headers_s: float
    ) -> UpstreamResponse:
        """The answer, as soon as its headers are there. Raises AttemptError.

        A connection that was used before and gives not one byte had been closed by its peer: that is no verdict
        on the provider, and the request goes out again at once, over a new one.
        """
        limits = self._timeouts.get(connect_s) or self._keep_timeout(connect_s)
        try:
            with Deadline(headers_s):
                try:
                    response = await self._send(url, body, headers, limits)
                except _FIRST_BYTES_LOST:
                    if not _reused.get():
                        raise
                    response = await self._post_afresh(url, body, headers, limits)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            _explain(error, connect_s, headers_s)
        return UpstreamResponse(response)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def _post_afresh(
        self, url: URL, body: bytes, headers: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        """Over a connection that nobody has used yet."""
        token = _fresh_only.set(True)
        try:
            return await self._send(url, body, headers, limits)
        finally:
            _fresh_only.reset(token)

    async def _send(
        self, url: URL, body: bytes, headers: Mapping[str, str], limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        if len(body) <= SMALL_BYTES:
            return await self._small.send(url, body, headers, limits)
        data = body if len(body) <= PLAIN_BYTES else BytesIO(body)
        return await self._session.post(url, data=data, headers=headers, timeout=limits, allow_redirects=False)

    def _keep_timeout(self, connect_s: float) -> aiohttp.ClientTimeout:
        timeout = aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s)
        self._timeouts[connect_s] = timeout
        return timeout


def check_c_parser() -> None:
    """Raises GatewayError unless aiohttp reads HTTP in C; in Python it is several times slower, unnoticed."""
    if HttpResponseParser is HttpResponseParserPy:
        raise GatewayError("aiohttp's C extensions are missing: install a wheel of aiohttp for this platform")


def _explain(error: Exception, connect_s: float, headers_s: float) -> NoReturn:
    """Raise the failure that `error` is, in words without addresses: those are the operator's business."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        failure = network_failure(f"no connection within {connect_s:g} s")
    elif isinstance(error, aiohttp.ClientProxyConnectionError):
        failure = network_failure("the proxy of the network (HTTPS_PROXY) cannot be reached")
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        failure = network_failure(f"the proxy of the network (HTTPS_PROXY) refused the connection: {error.status}")
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        failure = network_failure("the provider's host name cannot be resolved")
    elif isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        failure = network_failure("the provider's TLS certificate is not accepted")
    elif isinstance(error, aiohttp.ClientConnectorError):
        failure = network_failure("the connection was refused")
    elif isinstance(error, TimeoutError):
        failure = silent_failure(f"no answer within {headers_s:.3g} s")
    elif isinstance(error, aiohttp.ClientResponseError):
        failure = broken_failure("the answer is not HTTP")
    else:
        failure = network_failure("the connection was closed before the answer began", is_sent=True)
    raise AttemptError(failure) from error
