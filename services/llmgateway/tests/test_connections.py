"""Requests to a provider as they are on the wire, and what is left of one that was given up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from yarl import URL

from agent_llmgateway.errors import AttemptError
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.upstream.connections import PLAIN_BYTES, Upstream, UpstreamResponse, check_c_parser
from agent_llmgateway.upstream.pooledpost import SMALL_BYTES

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "test"}


@asynccontextmanager
async def provider(talk: Talk) -> AsyncIterator[URL]:
    """A TCP server that does what `talk` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 24)
    async with server:
        yield URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions?v=1")


async def ask(upstream: Upstream, url: URL, body: bytes, *, within_s: float = 5.0, **headers: str) -> UpstreamResponse:
    return await upstream.post(url, body, {**HEADERS, **headers}, connect_s=5.0, headers_s=within_s)


async def read_request(reader: asyncio.StreamReader) -> tuple[list[str], bytes]:
    """The lines of the head, and the body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    length = next(int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:"))
    return head, await reader.readexactly(length)


async def note_requests(
    seen: list[tuple[list[str], bytes]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    while not reader.at_eof():
        try:
            seen.append(await read_request(reader))
        except asyncio.IncompleteReadError:
            return
        writer.write(OK)


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES, SMALL_BYTES + 1, PLAIN_BYTES + 1])
async def test_a_request_of_any_size_arrives_whole_and_its_connection_is_used_again(size: int) -> None:
    seen: list[tuple[list[str], bytes]] = []
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await note_requests(seen, reader, writer)

    async with provider(talk) as url, Upstream() as upstream:
        for _ in range(2):
            answer = await ask(upstream, url, b"x" * size)
            assert await answer.read_all(100, 5.0, 5.0, lambda _: True) == b"{}"
            answer.close()
    assert connections == 1
    assert len(seen) == 2
    for head, body in seen:
        assert head[0] == "POST /v1/chat/completions?v=1 HTTP/1.1"
        assert f"Host: 127.0.0.1:{url.port}" in head
        assert {f"{name}: {value}" for name, value in HEADERS.items()} <= set(head)
        assert body == b"x" * size


async def test_a_header_of_the_configuration_replaces_the_one_of_that_name() -> None:
    seen: list[tuple[list[str], bytes]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await note_requests(seen, reader, writer)

    async with provider(talk) as url, Upstream() as upstream:
        (await ask(upstream, url, b"{}", host="models.example")).close()
    named = [line for line in seen[0][0] if line.lower().startswith("host:")]
    assert len(named) == 1
    assert named[0].endswith(": models.example")


async def test_a_refusal_is_read_though_nobody_reads_the_request() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.2)

    async with provider(talk) as url, Upstream() as upstream:
        answer = await ask(upstream, url, b"x" * SMALL_BYTES)
        assert answer.status == 413
        answer.close()


@pytest.mark.parametrize("ends", [True, False], ids=["an answer follows", "for ever"])
async def test_white_space_is_passed_over_for_a_time(*, ends: bool) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        with suppress(ConnectionError):
            for _ in range(3 if ends else 90_000):
                writer.write(b"\n ")
                await writer.drain()
                await asyncio.sleep(0.02)
            writer.write(b'{"a": 1}')
            await asyncio.sleep(60)

    async with provider(talk) as url, Upstream() as upstream:
        answer = await ask(upstream, url, b"{}")
        if ends:
            await answer.skip_blank(60)
            assert (await answer.read_chunk(60)).strip() == b'{"a": 1}'
        else:
            with pytest.raises(AttemptError) as silent:
                await answer.skip_blank(0.3)
            assert silent.value.failure.cause is Cause.SILENT
        answer.close()


async def test_a_reused_connection_that_was_closed_is_no_verdict() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(OK)
        await read_request(reader)  # the second one is not answered here

    async with provider(talk) as url, Upstream() as upstream:
        for _ in range(3):
            answer = await ask(upstream, url, b"{}")
            assert await answer.read_all(100, 5.0, 5.0, lambda _: True) == b"{}"
            answer.close()


@pytest.mark.parametrize(
    "reply,cause,words",
    [
        (b"", Cause.UNAVAILABLE, "closed before the answer began"),
        (b"not http\r\n\r\n", Cause.BROKEN, "not HTTP"),
        (None, Cause.SILENT, "no answer within"),
    ],
)
async def test_what_is_no_answer_is_a_failure(reply: bytes | None, cause: Cause, words: str) -> None:
    ended = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if reply is None:
            await reader.read()  # until the other side hangs up
            ended.set()
        else:
            writer.write(reply)

    async with provider(talk) as url, Upstream() as upstream:
        with pytest.raises(AttemptError, match=words) as failed:
            await ask(upstream, url, b"{}", within_s=0.2 if reply is None else 5.0)
        assert failed.value.failure.cause is cause
        if reply is None:
            await asyncio.wait_for(ended.wait(), 1.0)


async def test_a_request_that_is_given_up_is_cut() -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await reader.read()
        ended.set()

    async with provider(talk) as url, Upstream() as upstream:
        waiting = asyncio.ensure_future(ask(upstream, url, b"{}"))
        await asyncio.wait_for(asked.wait(), 1.0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(ended.wait(), 1.0)


def test_the_c_parser_is_there() -> None:
    check_c_parser()
