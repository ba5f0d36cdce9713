"""Answers requests from a cassette, as the sidecar answered them."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from agent_api.cassette import RecordedResponse, Recording, Side
from agentberth.replay import events
from agentberth.replay.bodies import dump, pack, pack_chunk, parsed, unpack, unpack_chunk
from agentberth.replay.masking import Masking
from agentberth.replay.matching import Player
from agentberth.replay.miss import Miss

_MISSED: Final = "replay_miss"


class Replayer:
    """`on_miss` is told of each request that was not recorded. Without `timing` streams come at once."""

    def __init__(self, player: Player, masking: Masking, on_miss: Callable[[Miss], None], *, timing: bool) -> None:
        self._player = player
        self._masking = masking
        self._on_miss = on_miss
        self._timing = timing

    async def answer(self, request: web.Request, side: Side) -> web.StreamResponse:
        """The recorded answer, or an error that no client retries."""
        raw = await request.read()
        body, _ = self._masking.request(raw)
        found = self._player.find(side, request.method, self._masking.path(request.raw_path), body)
        if isinstance(found, Miss):
            self._on_miss(found)
            return _missed(found, parsed(raw))
        response = _readdressed(found, raw)
        if response.stream is not None:
            return await self._stream(request, response)
        if response.ending == "left":
            await asyncio.Event().wait()
        return web.Response(status=response.status, headers=response.headers, body=unpack(response.body))

    async def _stream(self, request: web.Request, recorded: RecordedResponse) -> web.StreamResponse:
        response = web.StreamResponse(status=recorded.status, headers=recorded.headers)
        began = time.monotonic()
        await response.prepare(request)
        for chunk in recorded.stream or ():
            if self._timing:
                await asyncio.sleep(max(0.0, chunk.at_ms / 1000 - (time.monotonic() - began)))
            await response.write(unpack_chunk(chunk))
        if recorded.ending == "left":
            await asyncio.Event().wait()  # until the agent goes, as it did
        if recorded.ending == "cut":
            response.force_close()
            if request.transport is not None:
                request.transport.close()
            return response
        await response.write_eof()
        return response


def _missed(miss: Miss, message: Any) -> web.Response:  # noqa: ANN401 - any JSON
    """404: what the official clients neither retry nor fail over."""
    text = f"not in the cassette: {miss.message}"
    if isinstance(message, dict) and "jsonrpc" in message:
        error = {"jsonrpc": "2.0", "id": message.get("id"), "error": {"code": -32603, "message": text}}
        return web.json_response(error)
    error = {"type": "error", "error": {"type": _MISSED, "code": _MISSED, "message": text}}
    return web.json_response(error, status=404, headers={"x-should-retry": "false"})


def _readdressed(recording: Recording, raw: bytes) -> RecordedResponse:
    """The answer with the JSON-RPC id and progress token of the present request, where they are others."""
    asked, recorded = parsed(raw), parsed(unpack(recording.request.body))
    response = recording.response
    if not (isinstance(asked, dict) and isinstance(recorded, dict) and "jsonrpc" in asked):
        return response
    swap = _Swap(recorded, asked)
    if swap.idle:
        return response
    if response.stream is not None:
        whole = events.with_data(b"".join(map(unpack_chunk, response.stream)), swap.apply)
        at_ms = response.stream[0].at_ms if response.stream else 0
        return response.model_copy(update={"stream": (pack_chunk(at_ms, whole),)})
    return response.model_copy(update={"body": pack(swap.apply(unpack(response.body)))})


class _Swap:
    """What was the recorded message's becomes the present one's."""

    def __init__(self, recorded: dict[str, Any], asked: dict[str, Any]) -> None:
        self._ids = (recorded.get("id"), asked.get("id"))
        self._tokens = (_token(recorded), _token(asked))

    @property
    def idle(self) -> bool:
        return self._ids[0] == self._ids[1] and self._tokens[0] == self._tokens[1]

    def apply(self, raw: bytes) -> bytes:
        message = parsed(raw)
        if not isinstance(message, dict):
            return raw
        params = message.get("params")
        if "id" in message and message["id"] == self._ids[0]:
            message["id"] = self._ids[1]
        if isinstance(params, dict) and "progressToken" in params and params["progressToken"] == self._tokens[0]:
            params["progressToken"] = self._tokens[1]
        return dump(message).encode()


def _token(message: dict[str, Any]) -> object:
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta.get("progressToken") if isinstance(meta, dict) else None
