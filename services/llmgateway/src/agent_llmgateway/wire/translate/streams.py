"""What streams of all dialects are translated with: the chunk of a completion, and an event as bytes."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from agent_llmgateway.wire.dialects.base import decode
from agent_llmgateway.wire.dialects.chat import ChatUsage

Document = dict[str, Any]


class FunctionDelta(Struct):
    """A piece of a call's name or arguments."""

    name: str | None = None
    arguments: str | None = None


class CallDelta(Struct):
    """A piece of a call."""

    index: int = 0
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(Struct):
    """What a chunk adds."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallDelta] | None = None


class ChunkChoice(Struct):
    """One choice of a chunk."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(Struct):
    """A chunk of a completion."""

    id: str = ""
    model: str = ""
    choices: list[ChunkChoice] | None = None
    usage: ChatUsage | None = None


_CHUNKS: Final = msgspec.json.Decoder(Chunk)


def read_chunk(data: bytes) -> Chunk:
    """Raises MalformedEventError."""
    chunk: Chunk = decode(_CHUNKS, data)
    return chunk


def named_event(name: str, document: Document) -> bytes:
    """An event with a name, which is also its `type`."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode({"type": name, **document}))


def data_event(document: Document) -> bytes:
    """An event without a name."""
    return b"data: " + msgspec.json.encode(document) + b"\n\n"
