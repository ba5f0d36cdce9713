"""What a server at a URL answers: bounded, parsed, and judged whether it is meant for us."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from agent_kit.bodies import read_at_most
from agent_kit.errors import EventTooLargeError
from agent_kit.sse import EventReader
from agent_toolproxy.boundedjson import DEEPEST_LIST, load_json
from agent_toolproxy.errors import UpstreamProtocol
from agent_toolproxy.mcp.era import answers, find_fault
from agent_toolproxy.mcp.link import Exchange
from agent_toolproxy.mcp.messages import Json, RequestId
from agent_toolproxy.messagememory import MessageRoom, read_in_turn, reading

LARGEST_BYTES: Final = 8 << 20
"""Of an answer, and of an event of a stream."""


async def read_message(answer: aiohttp.ClientResponse, room: MessageRoom) -> Json | None:
    """The JSON-RPC message of a body, if it is one; an error may be without a readable id. Raises UpstreamProtocol."""
    with reading(room) as turn:
        body = await read_at_most(LARGEST_BYTES, read_in_turn(turn, answer.content.iter_any()))
        turn.keep()
    if body is None:
        raise UpstreamProtocol(f"{LARGEST_BYTES} bytes are the most that an answer may have")
    if answer.content_type != "application/json":
        return None
    try:
        message = load_json(body, deepest=DEEPEST_LIST)
    except ValueError:
        return None
    if isinstance(message, dict) and message.get("error") is not None and "method" not in message:
        return message if isinstance(message["error"], dict) else None
    return message if find_fault(message) is None else None


async def read_messages(
    answer: aiohttp.ClientResponse,
    reader: EventReader,
    room: MessageRoom,
    limit_bytes: int | None = None,
    awaited: RequestId | None = None,
) -> AsyncIterator[Json]:
    """The messages of a stream. Raises UpstreamProtocol, also for an unreadable answer to `awaited`."""
    size = 0
    try:
        with reading(room) as turn:
            async for chunk in read_in_turn(turn, answer.content.iter_any()):
                size += len(chunk)
                if limit_bytes is not None and size > limit_bytes:
                    raise UpstreamProtocol(f"a stream of more than {limit_bytes} bytes")
                for event in reader.feed(chunk):
                    message: Any = load_json(event.data, deepest=DEEPEST_LIST) if event.name == "message" else None
                    fault = None if message is None else find_fault(message)
                    if message is not None and fault is None:
                        if "method" not in message:
                            turn.keep()
                        yield message
                    elif awaited is not None and answers(message, awaited):
                        raise UpstreamProtocol(f"an answer that cannot be read: {fault}")
                    turn.restart()
                    await asyncio.sleep(0)  # thousands of events of one chunk would keep everyone else waiting
    except (ValueError, EventTooLargeError) as problem:
        raise UpstreamProtocol(f"a stream that is not MCP: {problem}") from problem


def is_lost_session(status: int, message: Json | None, exchange: Exchange) -> bool:
    """404 is what the specification says; 400 with an error for no request in particular is what many servers say."""
    if exchange.message["method"] == "initialize":
        return False
    return status == 404 or (status == 400 and (message is None or str(message.get("id")) != str(exchange.message_id)))


def is_ours(message_id: object, exchange: Exchange) -> bool:
    """An error may come without a readable id, and some servers give ids back as texts."""
    return message_id is None or str(message_id) == str(exchange.message_id)


def describe_problem(problem: aiohttp.ClientError) -> str:
    """Without the URL, whose query may hold a key."""
    if isinstance(problem, aiohttp.ClientConnectorError):
        return str(problem.os_error) or type(problem).__name__
    return type(problem).__name__
