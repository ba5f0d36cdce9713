"""A hostile agent and a hostile provider at one gateway: it stays small, alive and silent about its keys.

Sampled in CI; AGENTBERTH_WHOLE=1 sends 10,000 inputs.
"""

import asyncio
import json
import os
import random
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from contract.llmgateway.harness import PATHS, Gateway, run_gateway

WHOLE = bool(os.environ.get("AGENTBERTH_WHOLE"))
INPUTS = 10_000 if WHOLE else 400
CANARY = "sk-canary-7b0e5d31f2a94c68"
LIMIT_MB = 256.0
"""Of the container."""
ALIVE_S = 20.0
"""Of `/livez`, as a kubelet would wait over its tries; on a busy machine most of it is the machine's."""
MIB: Final = 1 << 20
SPELT = json.dumps(CANARY.replace("c", "\\u0063"))[1:-1].replace("\\\\", "\\").encode()
HEAD = b"HTTP/1.1 %d X\r\ncontent-type: %s\r\n%s"
SEEDS = (
    b'{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}',
    b'{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":2}}',
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n',
    b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n',
)
WORDS = (
    b"null",
    b"-1",
    b"1e999",
    b"10000000000000000000",
    b'""',
    b"[[[[",
    b"{}",
    b"\xff\xfe",
    b"\\ud800",
    b"\x00",
    b"\r\n\r\n",
    b"\n\n",
    b"data:",
    b'"usage":[]',
    b'"stream":true',
)


def mutated(rng: random.Random, seed: bytes) -> bytes:
    data = bytearray(seed)
    for _ in range(rng.randint(0, 6)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at:at] = rng.choice(WORDS)
        elif kind == 1:
            del data[at : at + rng.randint(1, 40)]
        elif kind == 2:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            data += data[at : at + 200]
    return bytes(data)


@dataclass
class HostileProvider:
    """Answers whatever it likes over a raw socket, and repeats the key that it was shown where it can."""

    rng: random.Random
    url: str = ""
    fixed: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            await reader.readexactly(size)
            writer.write(self.fixed[0] if self.fixed else self.answer())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def answer(self) -> bytes:
        rng = self.rng
        body = mutated(rng, rng.choice(SEEDS))
        more = b""
        kind = rng.randrange(6)
        if kind == 0:
            key = rng.choice((CANARY.encode(), SPELT))
            body = (
                b'{"error":{"message":"' + key + b'","type":"' + key + b'","param":"x' + key + b'"},"' + key + b'":1}'
            )
            more = f"x-request-id: {CANARY}\r\nx-ratelimit-reset: {CANARY}\r\nopenai-model: a{CANARY}\r\n".encode()
            return HEAD % (rng.choice((400, 401, 404, 429, 500, 503)), b"application/json", more) + _framed(body)
        if kind == 1:
            body = b'data: {"error":{"message":"' + CANARY.encode() + b'"}}\n\n'
            return HEAD % (200, b"text/event-stream", b"") + _framed(body)
        if kind == 2:
            body = zlib.compress(b"data: " + b" " * MIB * rng.randint(1, 8), 9)
            more = b"content-encoding: deflate\r\n"
        declared = rng.choice((b"application/json", b"text/event-stream", b"text/html", b""))
        return HEAD % (200, declared, more) + (_framed(body) if rng.random() < 0.8 else b"\r\n" + body)


def _framed(body: bytes) -> bytes:
    return b"content-length: %d\r\n\r\n" % len(body) + body


@asynccontextmanager
async def hostile() -> AsyncIterator[HostileProvider]:
    provider = HostileProvider(random.Random(7))  # noqa: S311 - a sample
    server = await asyncio.start_server(provider.serve, "127.0.0.1", 0, limit=1 << 26)
    provider.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield provider
    finally:
        server.close()
        await server.wait_closed()


@dataclass
class Watch:
    """Looks at the gateway while it is attacked."""

    gateway: Gateway
    worst_s: float = 0.0
    most_mb: float = 0.0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            while True:
                began = loop.time()
                async with session.get(f"http://127.0.0.1:{self.gateway.ops_port}/livez") as answer:
                    assert answer.status == 200
                self.worst_s = max(self.worst_s, loop.time() - began)
                self.most_mb = max(self.most_mb, self.gateway.rss_mb())
                await asyncio.sleep(0.05)


@asynccontextmanager
async def attacked(folder: Path) -> AsyncIterator[tuple[Gateway, HostileProvider]]:
    """A gateway with a budget between the two; judged at the end."""
    (folder / "keys").mkdir()
    (folder / "keys" / "api-key").write_text(CANARY)
    async with hostile() as provider:
        common = {"credentials": str(folder / "keys"), "timeouts": {"firstToken": 1, "firstTokenLast": 2, "idle": 1}}
        providers = [
            {"name": "a", "type": "openai", "baseUrl": f"{provider.url}/v1", "model": "m", **common},
            {"name": "b", "type": "anthropic", "baseUrl": provider.url, "model": "m", **common},
            {"name": "c", "type": "openai-compatible", "baseUrl": f"{provider.url}/v1", "model": "m", **common},
        ]
        limits = {"backoffSeconds": 0.01, "backoffMaxSeconds": 0.02, "breakerFailures": 1000, "breakerOpenSeconds": 0.1}
        config = {"providers": providers, "budget": {"tokensPerHour": 10**12}, "limits": limits}
        with run_gateway(folder, config) as gateway:
            watch = Watch(gateway)
            looking = asyncio.create_task(watch.run())
            yield gateway, provider
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
            assert watch.most_mb < LIMIT_MB
            assert watch.worst_s < ALIVE_S
            assert CANARY not in gateway.log
            shown = [gateway.ops.get(path).text for path in ("/report", "/metrics", "/calls", "/readyz?verbose")]
            assert CANARY not in "".join(shown)
            assert [line for line in gateway.log.splitlines() if "Traceback" in line] == []


def requests(rng: random.Random) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers."""
    turns = [{"role": "user", "content": "hi"}]
    bodies: list[dict[str, Any]] = [
        {"model": "a/m", "messages": turns, "stream": True},
        {"model": "b/m", "messages": turns, "max_tokens": 9, "stream": True},
        {"model": "c/m", "input": "hi", "stream": True},
        {"model": "auto", "messages": turns},
        {"model": "auto", "input": [{"type": "item_reference", "id": "x"}]},
        {"model": "auto", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": 5}]}], "n": -1},
    ]
    paths = [*PATHS.values(), "/v1/messages/count_tokens", "/v1/responses/input_tokens"]
    headers: tuple[dict[str, str], ...] = (
        {},
        {"x-agentberth-delivery": "complete"},
        {"x-agentberth-delivery": "x" * 9000},
        {"anthropic-beta": "é"},
    )
    while True:
        yield rng.choice(paths), mutated(rng, json.dumps(rng.choice(bodies)).encode()), dict(rng.choice(headers))


@pytest.mark.timeout(1800 if WHOLE else 240)
async def test_hostile_inputs_leave_it_small_alive_and_silent(tmp_path: Path) -> None:
    sent = requests(random.Random(11))  # noqa: S311 - a sample
    async with attacked(tmp_path) as (gateway, _), aiohttp.ClientSession() as session:

        async def send() -> bytes:
            path, body, headers = next(sent)
            headers["content-type"] = "application/json"
            try:
                async with session.post(gateway.url + path, data=body, headers=headers) as answer:
                    return str(answer.headers).encode() + await answer.read()
            except (aiohttp.ClientError, ValueError):
                return b""

        for _ in range(INPUTS // 16):
            answers = b"".join(await asyncio.gather(*(send() for _ in range(16))))
            assert CANARY.encode() not in answers
            assert SPELT not in answers


HEAVY: dict[str, bytes] = {
    "lists": b'{"model":"a/m","x":[' + b"[]," * (7 * MIB) + b"0]}",
    "emoji": b'{"model":"a/m","messages":[{"role":"user","content":"'
    + b"a" * 20 * MIB
    + "\U0001f600".encode()
    + b'"}]}',
    "picture": b'{"model":"c/m","input":[{"role":"user","content":[{"type":"input_image",'
    b'"image_url":"data:image/png;base64,' + b"A" * 20 * MIB + b'"}]}]}',
    "depth": b'{"model":"a/m","messages":' + b"[" * (8 * MIB),
    "too-large": b'{"model":"a/m","x":"' + b"a" * 40 * MIB + b'"}',
}


async def test_heavy_bodies_at_once_stay_below_the_containers_limit(tmp_path: Path) -> None:
    async with attacked(tmp_path) as (gateway, _), aiohttp.ClientSession() as session:

        async def pieces(body: bytes) -> AsyncIterator[bytes]:
            for at in range(0, len(body), MIB):
                yield body[at : at + MIB]

        async def send(path: str, body: bytes) -> int:
            try:
                headers = {"content-type": "application/json"}
                async with session.post(gateway.url + path, data=pieces(body), headers=headers) as answer:
                    await answer.read()
                    return answer.status
            except aiohttp.ClientError:
                return 0

        wanted = [(path, body) for body in HEAVY.values() for path in ("/v1/chat/completions", "/v1/responses")]
        statuses = await asyncio.gather(*(send(path, body) for path, body in wanted))
        assert 500 not in statuses
        assert await send("/v1/chat/completions", b'{"model":"none"}') == 404


@pytest.mark.parametrize("unit", [b"[],", b'{"a":1},', b"a"], ids=["lists", "objects", "text"])
async def test_a_provider_that_sends_without_end_costs_its_own_answer(tmp_path: Path, unit: bytes) -> None:
    body = b'{"choices":[' + unit * (24 * MIB // len(unit)) + b"0]}"
    async with attacked(tmp_path) as (gateway, provider), aiohttp.ClientSession() as session:
        provider.fixed = [HEAD % (200, b"application/json", b"") + _framed(body)]

        async def send(stream: bool) -> int:
            asked = {"model": "a/m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
            async with session.post(f"{gateway.url}/v1/chat/completions", json=asked) as answer:
                await answer.read()
                return answer.status

        assert 200 not in await asyncio.gather(*(send(stream) for stream in (True, False, False, False)))


UNREAD = 60
UNREAD_MB = 48.0
"""That so many streams may hold, of which nothing is read."""
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"word " * 200 + b'"}}]}\n\n'


@asynccontextmanager
async def endless() -> AsyncIterator[str]:
    """The address of a provider that writes events as fast as they are taken."""
    writing: list[asyncio.Task[Any] | None] = []

    async def write(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writing.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD % (200, b"text/event-stream", b"connection: close\r\n") + b"\r\n")
            while True:
                writer.write(EVENT * 16)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(write, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        await asyncio.gather(*(task for task in writing if task))


async def no_request_is_left(gateway: Gateway, *, within_s: int) -> None:
    for _ in range(within_s):
        if not gateway.metrics()["agentberth_llmgateway_requests_in_flight"]:
            return
        await asyncio.sleep(1)
    pytest.fail(f"requests are in flight after {within_s} s")


async def test_streams_that_nobody_reads_leave_it_small(tmp_path: Path) -> None:
    """Each client takes the first bytes and no more; the provider sends as fast as it can. All end after a minute."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(endless())
        provider = {"name": "a", "type": "openai-compatible", "model": "m", "baseUrl": url}
        config = {"providers": [provider], "budget": {"tokensPerHour": 10**12}}
        gateway = stack.enter_context(run_gateway(tmp_path, config))
        idle_mb = gateway.rss_mb()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), read_bufsize=1024) as session:
            posts = (session.post(f"{gateway.url}/v1/chat/completions", json=asked) for _ in range(UNREAD))
            answers = await asyncio.gather(*posts)
            assert {answer.status for answer in answers} == {200}
            most_mb = 0.0
            for _ in range(30):
                most_mb = max(most_mb, gateway.rss_mb())
                await asyncio.sleep(0.1)
            if WHOLE:
                await no_request_is_left(gateway, within_s=120)
            for answer in answers:
                answer.close()
        assert most_mb - idle_mb < UNREAD_MB
