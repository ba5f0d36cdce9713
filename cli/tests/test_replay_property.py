"""What a replay gives is what the recording saw, byte by byte: with any answers, over real HTTP and a real cassette."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_base.redaction import Redactor
from agentberth.replay.answering import Replayer
from agentberth.replay.canonical import Canonical
from agentberth.replay.cassettefile import read_cassette, write_cassette
from agentberth.replay.masking import Masking
from agentberth.replay.matching import Player
from agentberth.replay.recorder import Recorder

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
CHAT = {"id": "c", "choices": [{"index": 0, "delta": {"content": "ahoy ⚓", "tool_calls": [{"index": 0, "id": "t"}]}}]}
EVENTS = (
    f"data: {json.dumps(CHAT)}\n\n".encode(),
    b'event: content_block_delta\ndata: {"type": "content_block_delta", "delta": {"text": "\\u00e9"}}\n\n',
    b'event: error\ndata: {"error": {"message": "overloaded"}}\r\n\r\n',
    b": keep-alive\n\n",
    b"data: [DONE]\n\n",
)
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/tools/git:run")


@dataclass(frozen=True)
class Answer:
    """What the sidecar says: `pieces` of a stream, or of a whole answer. One that is `cut` ends before its end."""

    status: int
    pieces: tuple[bytes, ...]
    streams: bool
    cut: bool


@dataclass(frozen=True)
class Exchange:
    """What the agent asks, and is answered."""

    path: str
    body: bytes
    answer: Answer


WHOLE = st.builds(
    Answer,
    status=st.sampled_from([200, 201, 400, 404, 429, 500, 503, 529]),
    pieces=st.tuples(st.binary(max_size=200) | st.just(json.dumps(CHAT).encode()) | st.just(b"{}")),
    streams=st.just(False),
    cut=st.just(False),
)
STREAMED = st.builds(
    Answer,
    status=st.just(200),
    pieces=st.lists(st.sampled_from(EVENTS) | st.binary(min_size=1, max_size=40), max_size=6).map(tuple),
    streams=st.just(True),
    cut=st.booleans(),
)
BODIES = st.sampled_from([b'{"model": "auto", "stream": true}', b'{"model":"auto"}', b"nonsense", "{é}".encode()])
EXCHANGES = st.lists(st.builds(Exchange, st.sampled_from(PATHS), BODIES, WHOLE | STREAMED), min_size=1, max_size=6)


@settings(max_examples=25, deadline=None)
@given(EXCHANGES)
def test_a_replay_gives_the_recorded_bytes(exchanges: list[Exchange]) -> None:
    recorded, replayed = asyncio.run(record_and_replay(exchanges))
    assert replayed == recorded


async def record_and_replay(exchanges: Sequence[Exchange]) -> tuple[list[object], list[object]]:
    """What an agent gets while it is recorded, and in the replay."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        masking = Masking(Redactor(), folder)
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(auto_decompress=False, timeout=timeout, trust_env=False) as session,
            served(sidecar(exchanges)) as upstream,
        ):
            recorder = Recorder(session, masking)
            async with served(lambda request: recorder.relay(request, "models", upstream)) as base:
                recorded = [await ask(session, base, each) for each in exchanges]
            write_cassette(folder / "a.jsonl", "agent", recorder.recordings)
            player = Player(read_cassette(folder / "a.jsonl").recordings, Canonical(folder))
            replayer = Replayer(player, masking, lambda _: None, timing=False)
            async with served(lambda request: replayer.answer(request, "models")) as base:
                replayed = [await ask(session, base, each) for each in exchanges]
    return recorded, replayed


def sidecar(exchanges: Sequence[Exchange]) -> Handler:
    """Gives the answers in their order."""
    left = iter(exchanges)

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        said = next(left).answer
        if not said.streams:
            return web.Response(status=said.status, body=said.pieces[0], content_type="application/json")
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for piece in said.pieces:
            await response.write(piece)
        if said.cut and request.transport is not None:
            await asyncio.sleep(0.01)  # so that what was written has gone
            request.transport.close()
            return response
        await response.write_eof()
        return response

    return answer


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def ask(session: aiohttp.ClientSession, base: str, exchange: Exchange) -> object:
    """What the agent sees; of an answer that was cut, only that it was: how much had come before is the network's."""
    async with session.post(base + exchange.path, data=exchange.body) as answer:
        try:
            body = await answer.read()
        except aiohttp.ClientError:
            return answer.status, "cut"
        return answer.status, answer.headers.get("content-type"), body
