"""A server at a URL: streamable HTTP, both eras.

A call is sent once. What may follow is only what cannot run a tool twice: reading on in a stream that broke off, by
the id of its last event.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import aiohttp
from yarl import URL

from agent_kit.bodies import read_at_most
from agent_kit.errors import EventTooLargeError
from agent_kit.sse import EventReader
from agent_toolproxy.boundedjson import DEEPEST_LIST, dump_json, load_json
from agent_toolproxy.errors import (
    ToolNotReady,
    ToolProxyError,
    UpstreamAuth,
    UpstreamHttp,
    UpstreamProtocol,
    UpstreamSessionLost,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from agent_toolproxy.mcp.era import answers, find_fault
from agent_toolproxy.mcp.link import Authorization, Exchange, MessageListener
from agent_toolproxy.mcp.messages import (
    CANCELLED,
    HEADER_SESSION,
    HEADER_VERSION,
    METHOD_NOT_FOUND,
    Json,
    RequestId,
    error,
    notification,
    response,
)
from agent_toolproxy.network.addresspolicy import AddressPolicy

_ACCEPT: Final = "application/json, text/event-stream"
_LARGEST_BYTES: Final = 16 << 20
_LARGEST_EVENT_BYTES: Final = 16 << 20
_LARGEST_STREAM_BYTES: Final = 64 << 20
"""Of everything that comes in one call's stream."""
_CONNECT_S: Final = 10.0
_SHORT_S: Final = 5.0
_RESUMPTIONS: Final = 3
_MOST_REDIRECTS: Final = 3
_DEFAULT_RETRY_MS: Final = 1000
_LONGEST_RETRY_MS: Final = 30_000


class HttpLink:
    """Talks to one URL. `authorization` is asked for each request, so that a rotated key is used."""

    silence_is_legacy = False

    def __init__(
        self,
        url: str,
        *,
        session: aiohttp.ClientSession,
        addresses: AddressPolicy,
        authorization: Authorization,
    ) -> None:
        self._url = url
        self._host = URL(url, encoded=True).host or url
        self._session = session
        self._addresses = addresses
        self._authorization = authorization
        self._session_id: str | None = None
        self._version = ""

    async def exchange(self, exchange: Exchange, listener: MessageListener) -> Json:
        """The response to a request."""
        try:
            async with asyncio.timeout(exchange.timeout_s):
                async with self._send("POST", exchange.headers, exchange.message) as answer:
                    if exchange.message["method"] == "initialize":
                        self._session_id = answer.headers.get(HEADER_SESSION)
                    return await self._read_answer(answer, exchange, listener)
        except TimeoutError as problem:
            raise UpstreamTimeout(f"{self._host} did not answer within {exchange.timeout_s or 0:g} s") from problem

    async def notify(self, message: Json, headers: Mapping[str, str]) -> None:
        """Send a notification, or a response to what the server asked."""
        async with asyncio.timeout(_SHORT_S), self._send("POST", headers, message) as answer:
            if answer.status not in (200, 202, 204):
                raise UpstreamHttp(answer.status, f"{self._host} answered {answer.status} to {message.get('method')}")

    async def cancel(self, message_id: RequestId, headers: Mapping[str, str], *, modern: bool) -> None:
        """In 2026-07-28 closing the connection was the cancellation."""
        if not modern:
            with contextlib.suppress(ToolProxyError, TimeoutError):
                await self.notify(notification(CANCELLED, {"requestId": message_id}), headers)

    def forget_session(self) -> None:
        """The next `initialize` goes out without a session id."""
        self._session_id = None

    async def end_session(self) -> None:
        """Tell a handshake server that its session is over, in the version that was agreed on."""
        if self._session_id is not None:
            headers = {HEADER_VERSION: self._version} if self._version else {}
            with contextlib.suppress(ToolProxyError, TimeoutError):
                async with asyncio.timeout(1.0), self._send("DELETE", headers, None):
                    self._session_id = None

    async def watch(self, listener: MessageListener, headers: Mapping[str, str]) -> None:
        """The GET stream; a server that has none answers 405."""
        async with self._send("GET", headers, None) as answer:
            if answer.status == 200 and answer.content_type == "text/event-stream":
                async for message in self._messages(answer, EventReader(_LARGEST_EVENT_BYTES)):
                    await self._take_aside(message, listener, headers)

    @contextlib.asynccontextmanager
    async def _send(
        self, method: str, headers: Mapping[str, str], message: Json | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            given = await self._authorization.headers()
        except ToolNotReady as problem:
            raise UpstreamAuth(str(problem)) from problem
        own = dict(given)
        if self._session_id is not None:
            own[HEADER_SESSION] = self._session_id
            self._version = headers.get(HEADER_VERSION, self._version)
        if message is not None:
            own["Content-Type"] = "application/json"
        all_headers = {**headers, **own, "Accept": _ACCEPT if message is not None else "text/event-stream"}
        data = dump_json(message).encode() if message is not None else None
        try:
            for attempt in range(_MOST_REDIRECTS):
                async with self._open(method, all_headers, data) as answer:
                    if answer.status == 401 and attempt == 0 and await self._renew(given, answer):
                        all_headers |= await self._authorization.headers()
                    elif not self._moves(answer):
                        yield answer
                        return
            raise UpstreamProtocol(f"{self._host} redirects without an end")
        except (aiohttp.ServerTimeoutError, aiohttp.ConnectionTimeoutError) as problem:
            raise UpstreamUnavailable(f"{self._host} cannot be reached in time") from problem
        except aiohttp.ClientError as problem:
            raise UpstreamUnavailable(f"{self._host} cannot be reached: {_reason(problem)}") from problem

    async def _renew(self, given: Mapping[str, str], answer: aiohttp.ClientResponse) -> bool:
        """A request that was refused has run nothing, and is sent once more when there is another token for it."""
        return await self._authorization.renew(given, answer.headers.getall("WWW-Authenticate", []))

    @contextlib.asynccontextmanager
    async def _open(
        self, method: str, headers: Mapping[str, str], data: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        await self._addresses.check_url(self._url)
        async with self._session.request(
            method,
            URL(self._url, encoded=True),
            data=data,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
        ) as answer:
            yield answer

    def _moves(self, answer: aiohttp.ClientResponse) -> bool:
        """Whether the same server has it at another path; a slash at the end is all that it is, mostly.

        Another origin is never followed: it would get the credential.
        """
        location = answer.headers.get("Location")
        if answer.status not in (307, 308) or location is None:
            return False
        here = URL(self._url, encoded=True)
        try:
            there = here.join(URL(location, encoded=True))
        except ValueError:
            return False
        if there.origin() != here.origin() or there == here:
            return False
        self._url = str(there)
        return True

    async def _read_answer(self, answer: aiohttp.ClientResponse, exchange: Exchange, listener: MessageListener) -> Json:
        if answer.status in (401, 403):
            raise UpstreamAuth(f"{self._host} refused the credential: {answer.status}; check credentialsSecret")
        if answer.status == 200 and answer.content_type == "text/event-stream":
            return await self._read_stream(answer, exchange, listener)
        message = await self._read_message(answer)
        if self._session_id is not None and _is_lost_session(answer.status, message, exchange):
            raise UpstreamSessionLost(answer.status, f"{self._host} does not know the session any more")
        if message is not None and "method" not in message and _is_ours(message.get("id"), exchange):
            return message
        if answer.status >= 500 and not (answer.status <= 501 and exchange.message["method"] == "server/discover"):
            raise UpstreamUnavailable(f"{self._host} answered {answer.status}")
        if answer.status >= 300:
            raise UpstreamHttp(answer.status, f"{self._host} answered {answer.status}")
        raise UpstreamProtocol(f"{self._host} answered {answer.status} with something that is not MCP")

    @staticmethod
    async def _read_message(answer: aiohttp.ClientResponse) -> Json | None:
        """The JSON-RPC message of a body, if it is one; an error may be without a readable id."""
        body = await read_at_most(_LARGEST_BYTES, answer.content.iter_any())
        if body is None:
            raise UpstreamProtocol(f"{_LARGEST_BYTES} bytes are the most that an answer may have")
        if answer.content_type != "application/json":
            return None
        try:
            message = load_json(body, deepest=DEEPEST_LIST)
        except ValueError:
            return None
        if isinstance(message, dict) and message.get("error") is not None and "method" not in message:
            return message if isinstance(message["error"], dict) else None
        return message if find_fault(message) is None else None

    async def _read_stream(self, answer: aiohttp.ClientResponse, exchange: Exchange, listener: MessageListener) -> Json:
        reader = EventReader(_LARGEST_EVENT_BYTES)
        found = await self._find_response(answer, reader, exchange, listener)
        for _ in range(_RESUMPTIONS):
            if found is not None or reader.last_id is None:
                break
            await asyncio.sleep(min(reader.retry_ms or _DEFAULT_RETRY_MS, _LONGEST_RETRY_MS) / 1000)
            headers = {**exchange.headers, "Last-Event-ID": reader.last_id}
            async with self._send("GET", headers, None) as resumed:
                if resumed.status == 200:
                    reader.begin_again()
                    found = await self._find_response(resumed, reader, exchange, listener)
        if found is None:
            raise UpstreamUnavailable(f"{self._host} closed the stream before it answered")
        return found

    async def _find_response(
        self, answer: aiohttp.ClientResponse, reader: EventReader, exchange: Exchange, listener: MessageListener
    ) -> Json | None:
        with contextlib.suppress(aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
            async for message in self._messages(answer, reader, _LARGEST_STREAM_BYTES, exchange.message_id):
                if "method" in message:
                    await self._take_aside(message, listener, exchange.headers)
                elif _is_ours(message.get("id"), exchange):
                    return message
        return None

    @staticmethod
    async def _messages(
        answer: aiohttp.ClientResponse,
        reader: EventReader,
        limit_bytes: int | None = None,
        awaited: RequestId | None = None,
    ) -> AsyncIterator[Json]:
        size = 0
        try:
            async for chunk in answer.content.iter_any():
                size += len(chunk)
                if limit_bytes is not None and size > limit_bytes:
                    raise UpstreamProtocol(f"a stream of more than {limit_bytes} bytes")
                for event in reader.feed(chunk):
                    message: Any = load_json(event.data, deepest=DEEPEST_LIST) if event.name == "message" else None
                    fault = None if message is None else find_fault(message)
                    if message is not None and fault is None:
                        yield message
                    elif awaited is not None and answers(message, awaited):
                        raise UpstreamProtocol(f"an answer that cannot be read: {fault}")
                    await asyncio.sleep(0)  # thousands of events of one chunk would keep everyone else waiting
        except (ValueError, EventTooLargeError) as problem:
            raise UpstreamProtocol(f"a stream that is not MCP: {problem}") from problem

    async def _take_aside(self, message: Json, listener: MessageListener, headers: Mapping[str, str]) -> None:
        """What comes beside the response: notifications, and requests of a handshake server."""
        if "id" not in message:
            await listener(message)
            return
        known = message["method"] == "ping"
        said = response(message["id"], {}) if known else error(message["id"], METHOD_NOT_FOUND, "Method not found")
        with contextlib.suppress(ToolProxyError, TimeoutError):
            await self.notify(said, headers)


def _is_lost_session(status: int, message: Json | None, exchange: Exchange) -> bool:
    """404 is what the specification says; 400 with an error for no request in particular is what many servers say."""
    if exchange.message["method"] == "initialize":
        return False
    return status == 404 or (status == 400 and (message is None or str(message.get("id")) != str(exchange.message_id)))


def _is_ours(message_id: object, exchange: Exchange) -> bool:
    """An error may come without a readable id, and some servers give ids back as texts."""
    return message_id is None or str(message_id) == str(exchange.message_id)


def _reason(problem: aiohttp.ClientError) -> str:
    """Without the URL, whose query may hold a key."""
    if isinstance(problem, aiohttp.ClientConnectorError):
        return str(problem.os_error) or type(problem).__name__
    return type(problem).__name__
