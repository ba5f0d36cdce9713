"""The HTTP answer to one request: JSON while that is possible, an event stream when something has to go first.

JSON keeps the status that belongs to an error; a stream is begun by the first notification, or when the work takes
so long that something on the way might give up on a silent connection.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from agent_toolproxy.boundedjson import dump_json
from agent_toolproxy.mcp.eventframes import HEADERS, KEEP_ALIVE, frame
from agent_toolproxy.mcp.messages import Json

KEEP_ALIVE_S: Final = 15.0
NOTIFY_S: Final = 5.0


@dataclass(frozen=True)
class Accepts:
    """What the client takes."""

    json: bool
    events: bool

    @classmethod
    def read(cls, request: web.Request) -> "Accepts":
        """From the Accept headers; none takes all."""
        ranges = {
            part.partition(";")[0].strip().lower()
            for header in request.headers.getall("Accept", ["*/*"])
            for part in header.split(",")
        }
        return cls(
            json=not ranges.isdisjoint({"*/*", "application/*", "application/json"}),
            events=not ranges.isdisjoint({"*/*", "text/*", "text/event-stream"}),
        )


@dataclass(frozen=True)
class Reply:
    """A message, or the messages of a batch, with the HTTP status it has as JSON. None: nothing to say."""

    message: Json | list[Json] | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Answer:
    """Writes the answer. After the client is gone, everything that is written is dropped."""

    def __init__(self, request: web.Request, accepts: Accepts, *, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._request = request
        self._accepts = accepts
        self._keep_alive_s = keep_alive_s
        self._stream: web.StreamResponse | None = None
        self._lock = asyncio.Lock()
        self._stuck = False
        self._finished = False

    @property
    def takes_events(self) -> bool:
        """Whether something can be sent ahead of the result."""
        return self._accepts.events

    async def notify(self, message: Json) -> None:
        """Send a message ahead of the result; dropped for a client that takes only JSON, or that does not read.

        Who sends it may be reading from a server that others use: nobody waits for a client for long.
        """
        if self._accepts.events and not self._stuck and not self._finished:
            try:
                async with asyncio.timeout(NOTIFY_S):
                    await self._write(frame(message))
            except TimeoutError:
                self._stuck = True

    async def begin(self) -> None:
        """Commit to a stream now."""
        await self._write(b"")

    async def keep_alive(self) -> None:
        """Show that the connection lives."""
        if self._accepts.events:
            await self._write(KEEP_ALIVE)

    async def finish(self, reply: Reply) -> web.StreamResponse:
        self._finished = True
        if self._stream is None and (self._accepts.json or reply.message is None):
            return json_response(reply)
        messages = reply.message if isinstance(reply.message, list) else [reply.message] if reply.message else []
        await self._write(b"".join(frame(message) for message in messages), reply.headers)
        assert self._stream is not None  # noqa: S101 - written to just now
        with contextlib.suppress(ConnectionError):
            await self._stream.write_eof()
        return self._stream

    async def wait_for(self, work: "asyncio.Task[Reply]") -> web.StreamResponse:
        """The response with the result of `work`, kept alive until it is there; an empty one when it was cancelled."""
        while not work.done():
            await asyncio.wait({work}, timeout=self._keep_alive_s)
            if not work.done():
                await self.keep_alive()
        return await self.finish(Reply(None) if work.cancelled() else work.result())

    async def _write(self, data: bytes, headers: Mapping[str, str] = HEADERS) -> None:
        async with self._lock:
            with contextlib.suppress(ConnectionError):
                if self._stream is None:
                    self._stream = web.StreamResponse(headers={**headers, **HEADERS})
                    await self._stream.prepare(self._request)
                if data:
                    await self._stream.write(data)


def json_response(reply: Reply) -> web.Response:
    """A reply as JSON; without a message an empty 202."""
    if reply.message is None:
        return web.Response(status=202)
    return web.json_response(reply.message, status=reply.status, headers=reply.headers, dumps=_dumps)


_dumps: Callable[[Any], str] = dump_json
