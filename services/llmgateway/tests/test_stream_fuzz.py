"""Streams of providers, spoilt in every way: an answer never ends normally with less than what came.

What counts is what a client can read of a translated stream that ended as if it were whole.
"""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import AttemptError
from agent_llmgateway.mock import answers
from agent_llmgateway.mock.script import Reply
from agent_llmgateway.wire.answerstream import EVENT_LIMIT_BYTES, AnswerStream
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.translate import TRANSLATIONS, Target

Document = dict[str, Any]
PAIRS = [("messages", "chat"), ("responses", "chat"), ("chat", "messages"), ("responses", "messages")]
MARKS = ["<<text-one>>", "<<text-two>>", "<<thought>>", "<<argument-a>>", "<<argument-b>>"]
REPLY = Reply.model_validate(
    {"reasoning": MARKS[2], "text": MARKS[0] + " " + MARKS[1], "chunks": 2, "usage": {"input": 9, "output": 4}}
)
CALLS = Reply.model_validate(
    {
        "tool_calls": [
            {"id": "a", "name": "f", "arguments": {"x": MARKS[3]}},
            {"id": "b", "name": "g", "arguments": {"y": MARKS[4]}},
        ],
        "chunks": 3,
        "usage": {"input": 9, "output": 4},
    }
)
ODD = st.sampled_from([None, "", 7, 1.5, True, [], {}, "odd", ["odd"], {"odd": 1}])


def frames_of(dialect: str, reply: Reply) -> list[bytes]:
    make = answers.chat_frames if dialect == "chat" else answers.message_frames
    more = {"with_usage": True} if dialect == "chat" else {}
    return [frame.data for frame in make(reply, reply.text, "m", **more)]


class Chunks:
    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks

    async def read_chunk(self, timeout_s: float) -> bytes:
        assert timeout_s
        return self.chunks.pop(0) if self.chunks else b""

    def close(self) -> None:
        pass


async def drain(stream: AnswerStream) -> bytes | None:
    """All of it; None when it ended with an error."""
    out = b""
    try:
        while not stream.ended:
            out += await stream.next(1.0)
    except AttemptError:
        return None
    return out


def read_through(client: str, provider: str, chunks: list[bytes]) -> bytes | None:
    translator = TRANSLATIONS[client, provider].stream(Target("m"), with_usage=True)  # type: ignore[index]
    return asyncio.run(drain(AnswerStream(Chunks(chunks), DIALECTS[provider], translator)))  # type: ignore[index]


def shown(out: bytes) -> str:
    """Every text and argument in the events, joined in their order, one sort after the other."""
    sorts: dict[str, str] = {}
    for block in EventScanner(EVENT_LIMIT_BYTES).feed(out).blocks:
        data = read_data(block)
        if data and data != b"[DONE]":
            _collect(json.loads(data), "", sorts)
    return "\n".join(sorts.values())


def _collect(value: Any, path: str, sorts: dict[str, str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in ("response", "item", "part"):
                _collect(inner, f"{path}.{name}.{value.get('index', value.get('output_index', ''))}", sorts)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, path, sorts)
    elif isinstance(value, str):
        sorts[path] = sorts.get(path, "") + value


def marks_in(data: bytes) -> list[str]:
    """The marks that a provider has sent whole, however its events cut them."""
    text = shown(data)
    return [mark for mark in MARKS if mark in text]


@pytest.mark.parametrize("client,provider", PAIRS)
@given(reply=st.sampled_from([REPLY, CALLS]), cut=st.floats(0, 1), size=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_cut_anywhere_and_split_anywhere(client: str, provider: str, reply: Reply, cut: float, size: int) -> None:
    data = b"".join(frames_of(provider, reply))
    sent = data[: int(len(data) * cut)]
    out = read_through(client, provider, [sent[at : at + size] for at in range(0, len(sent), size)])
    if out is not None:
        for mark in marks_in(data):
            assert mark in shown(out), "a normal end with less than the whole"


@st.composite
def spoilt(draw: st.DrawFn, provider: str) -> list[bytes]:
    """Events of which one or two have a field of another type, have lost one, or stand elsewhere."""
    frames = frames_of(provider, draw(st.sampled_from([REPLY, CALLS])))
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.integers(0, len(frames) - 1))
        how = draw(st.sampled_from(["type", "type", "type", "missing", "order", "twice"]))
        if how == "order":  # but never behind the end, where nobody reads on
            frames.insert(draw(st.integers(0, len(frames) - 4)), frames.pop(min(place, len(frames) - 4)))
        elif how == "twice":
            frames.insert(place, frames[place])
        else:
            frames[place] = draw(changed(frames[place], missing=how == "missing"))
    return frames


@st.composite
def changed(draw: st.DrawFn, frame: bytes, *, missing: bool) -> bytes:
    data = read_data(frame)
    if not data or data == b"[DONE]":
        return frame
    document = json.loads(data)
    value: Any = document
    while True:
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return frame
        key = draw(st.sampled_from(keys))
        inner = value[key]
        if isinstance(inner, dict | list) and inner and draw(st.booleans()):
            value = inner
            continue
        if missing:
            del value[key]
        else:
            value[key] = draw(ODD)
        return frame.replace(data, json.dumps(document).encode())


@pytest.mark.parametrize("client,provider", PAIRS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_what_is_still_there_is_shown_or_the_end_is_an_error(client: str, provider: str, data: st.DataObject) -> None:
    frames = data.draw(spoilt(provider))
    out = read_through(client, provider, list(frames))
    if out is not None:
        there = b"".join(frames)
        for mark in MARKS:
            assert there.count(mark.encode()) == 0 or mark in shown(out), mark
