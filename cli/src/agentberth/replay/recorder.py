"""Passes requests on to a sidecar and keeps what it answers, byte by byte."""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, Literal

import aiohttp
from aiohttp import web
from yarl import URL

from agent_api.cassette import (
    MOST_BODY_BYTES,
    MOST_CHUNKS,
    MOST_RECORDINGS,
    Chunk,
    RecordedRequest,
    RecordedResponse,
    Recording,
    Side,
)
from agentberth.replay.bodies import pack, pack_chunk
from agentberth.replay.masking import Masking, masked_body

_OF_A_CONNECTION: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "content-length"}
)
_NOT_KEPT: Final = _OF_A_CONNECTION | {"date", "server", "set-cookie", "x-agentberth-overhead-ms"}
_CONNECT_S: Final = 10


class Recorder:
    """The recordings of one run. `session` must not decompress."""

    def __init__(self, session: aiohttp.ClientSession, masking: Masking) -> None:
        self._session = session
        self._masking = masking
        self._slots: list[Recording | None] = []
        self.dropped = 0

    @property
    def recordings(self) -> tuple[Recording, ...]:
        """In the order of the requests; those without an answer are left out."""
        return tuple(each for each in self._slots if each is not None)

    async def relay(self, request: web.Request, side: Side, base: str) -> web.StreamResponse:
        """Answer `request` with what the sidecar at `base` says, and keep both."""
        body = await request.read()
        began, slot = time.monotonic(), len(self._slots)
        self._slots.append(None)
        kept = _Kept(began)
        response: web.StreamResponse | None = None
        try:
            response = await self._pass(request, body, base, kept)
        except (aiohttp.ClientError, TimeoutError) as error:
            if kept.status:
                kept.ending = "cut"
                _hang_up(request)
                return web.Response()
            return web.json_response({"error": {"message": f"the sidecar gave no answer: {error}"}}, status=502)
        except (asyncio.CancelledError, ConnectionError):
            kept.ending = "left"
            raise
        finally:
            self._keep(slot, side, request, body, kept)
        return response

    async def _pass(self, request: web.Request, body: bytes, base: str, kept: "_Kept") -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_A_CONNECTION}
        headers = {k: v for k, v in headers.items() if k.lower() != "accept-encoding"}
        headers["Accept-Encoding"] = "identity"
        url = URL(base + request.raw_path, encoded=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, timeout=timeout, allow_redirects=False
        ) as upstream:
            kept.begin(upstream.status, upstream.headers)
            shown = {k: v for k, v in upstream.headers.items() if k.lower() not in _OF_A_CONNECTION}
            if upstream.content_type != "text/event-stream":
                async for chunk in upstream.content.iter_any():
                    kept.body += chunk
                    kept.too_large = kept.too_large or len(kept.body) > MOST_BODY_BYTES
                return web.Response(status=upstream.status, headers=shown, body=bytes(kept.body))
            response = web.StreamResponse(status=upstream.status, headers=shown)
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                kept.take(chunk)
                await response.write(chunk)
            await response.write_eof()
            return response

    def _keep(self, slot: int, side: Side, request: web.Request, body: bytes, kept: "_Kept") -> None:
        if not kept.status:
            return
        if slot >= MOST_RECORDINGS or kept.too_large:
            self.dropped += 1
            return
        asked, masked_question = self._masking.request(body)
        response, masked_answer = self._answer(kept)
        self._slots[slot] = Recording(
            side=side,
            request=RecordedRequest(
                method=request.method,
                path=self._masking.path(request.raw_path),
                body=pack(asked) if asked else None,
            ),
            response=response,
            masked=masked_question or masked_answer,
        )

    def _answer(self, kept: "_Kept") -> tuple[RecordedResponse, bool]:
        headers = {name: self._masking.header(name, value) for name, value in kept.headers.items()}
        if kept.chunks is not None:
            chunks, masked = self._masking.stream(tuple(kept.chunks))
            return RecordedResponse(status=kept.status, headers=headers, stream=chunks, ending=kept.ending), masked
        body, masked = masked_body(self._masking, pack(bytes(kept.body)) if kept.body else None)
        return RecordedResponse(status=kept.status, headers=headers, body=body, ending=kept.ending), masked


class _Kept:
    """An answer while it comes. `status` is 0 until it has begun."""

    def __init__(self, began: float) -> None:
        self._began = began
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.chunks: list[Chunk] | None = None
        self.ending: Literal["whole", "cut", "left"] = "whole"
        self.too_large = False
        self._size = 0

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.headers = {k.lower(): v for k, v in headers.items() if k.lower() not in _NOT_KEPT}
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            self.chunks = []

    def take(self, raw: bytes) -> None:
        assert self.chunks is not None  # noqa: S101 - begun as a stream
        self._size += len(raw)
        if self._size > MOST_BODY_BYTES or len(self.chunks) >= MOST_CHUNKS:
            self.too_large = True
            return
        self.chunks.append(pack_chunk(round((time.monotonic() - self._began) * 1000), raw))


def _hang_up(request: web.Request) -> None:
    """End the connection as the sidecar did: an answer that was cut must not look whole."""
    if request.transport is not None:
        request.transport.abort()
