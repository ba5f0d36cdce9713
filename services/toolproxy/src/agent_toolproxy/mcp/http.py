"""A server at a URL: streamable HTTP, both eras.

A call is sent once. What may follow is only what cannot run a tool twice: reading on in a stream that broke off, by
the id of its last event.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Final

import aiohttp
from yarl import URL

from agent_kit.sse import EventReader
from agent_toolproxy.boundedjson import dump_json
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
from agent_toolproxy.mcp.httpbodies import (
    LARGEST_BYTES,
    describe_problem,
    is_lost_session,
    is_ours,
    read_message,
    read_messages,
)
from agent_toolproxy.mcp.inflight import InFlight
from agent_toolproxy.mcp.link import Authorization, Exchange, MessageListener
from agent_toolproxy.mcp.messages import (
    CANCELLED,
    HEADER_SESSION,
    HEADER_VERSION,
    LOG_MESSAGE,
    Json,
    RequestId,
    notification,
)
from agent_toolproxy.mcp.questions import answering
from agent_toolproxy.messagememory import MessageRoom
from agent_toolproxy.network.addresspolicy import AddressPolicy

_ACCEPT: Final = "application/json, text/event-stream"
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
        room: MessageRoom,
    ) -> None:
        self._url = url
        self._host = URL(url, encoded=True).host or url
        self._session = session
        self._addresses = addresses
        self._authorization = authorization
        self._room = room
        self._session_id: str | None = None
        self._version = ""
        self._in_flight = InFlight()

    async def exchange(self, exchange: Exchange, listener: MessageListener) -> Json:
        """The response to a request."""
        try:
            with self._in_flight.track(exchange):
                async with (
                    asyncio.timeout(exchange.timeout_s),
                    self._send("POST", exchange.headers, exchange.message) as answer,
                ):
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
            if answer.status != 200 or answer.content_type != "text/event-stream":
                return
            async with answering(partial(self.notify, headers=headers)) as questions:
                async for message in read_messages(answer, EventReader(LARGEST_BYTES), self._room):
                    caller = self._in_flight.only_caller()
                    if "id" in message and "method" in message:
                        await questions.take(message, caller)
                    elif message.get("method") == LOG_MESSAGE and caller is not None:
                        await caller.log(message.get("params", {}))
                    elif "method" in message:
                        await listener(message)

    @contextlib.asynccontextmanager
    async def _send(
        self, method: str, headers: Mapping[str, str], message: Json | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            own = dict(await self._authorization.headers())
        except ToolNotReady as problem:
            raise UpstreamAuth(str(problem)) from problem
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
                    challenges = answer.headers.getall("WWW-Authenticate", [])
                    if answer.status == 401 and not attempt and await self._authorization.renew(own, challenges):
                        all_headers |= await self._authorization.headers()
                    elif not self._moves(answer):
                        yield answer
                        return
            raise UpstreamProtocol(f"{self._host} redirects without an end")
        except (aiohttp.ServerTimeoutError, aiohttp.ConnectionTimeoutError) as problem:
            raise UpstreamUnavailable(f"{self._host} cannot be reached in time") from problem
        except aiohttp.ClientError as problem:
            raise UpstreamUnavailable(f"{self._host} cannot be reached: {describe_problem(problem)}") from problem

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
        message = await read_message(answer, self._room)
        if self._session_id is not None and is_lost_session(answer.status, message, exchange):
            raise UpstreamSessionLost(answer.status, f"{self._host} does not know the session any more")
        if message is not None and "method" not in message and is_ours(message.get("id"), exchange):
            return message
        if answer.status >= 500 and not (answer.status <= 501 and exchange.message["method"] == "server/discover"):
            raise UpstreamUnavailable(f"{self._host} answered {answer.status}")
        if answer.status >= 300:
            raise UpstreamHttp(answer.status, f"{self._host} answered {answer.status}")
        raise UpstreamProtocol(f"{self._host} answered {answer.status} with something that is not MCP")

    async def _read_stream(self, answer: aiohttp.ClientResponse, exchange: Exchange, listener: MessageListener) -> Json:
        reader = EventReader(LARGEST_BYTES)
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
        async with answering(partial(self.notify, headers=exchange.headers)) as questions:
            with contextlib.suppress(aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
                async for message in read_messages(
                    answer, reader, self._room, _LARGEST_STREAM_BYTES, exchange.message_id
                ):
                    if "method" in message and "id" in message:
                        await questions.take(message, exchange.caller)
                    elif "method" in message:
                        await listener(message)
                    elif is_ours(message.get("id"), exchange):
                        return message
        return None
