"""A stream collected is the whole answer that the provider would have given."""

import json
from functools import partial
from typing import Any

import pytest

from agent_llmgateway.mock import answers, responses
from agent_llmgateway.mock.script import Reply
from agent_llmgateway.wire.collect import as_stream_request, open_collector
from agent_llmgateway.wire.sse import read_data

REPLIES = [
    Reply.model_validate({"text": "one two three", "chunks": 3, "usage": {"input": 9, "output": 4}}),
    Reply.model_validate({"reasoning": "first", "text": "then", "chunks": 2}),
    Reply.model_validate(
        {"tool_calls": [{"id": "a", "name": "f", "arguments": {"x": 1}}, {"id": "b", "name": "g"}], "chunks": 4}
    ),
    Reply.model_validate({"text": "cut", "finish": "length"}),
]


def read(value: Any) -> Any:
    """Without what differs from call to call, and with arguments as what they mean."""
    if isinstance(value, dict):
        left = {k: read(v) for k, v in value.items() if k not in ("created", "created_at", "usage") and v is not None}
        return {k: json.loads(v) if k == "arguments" else v for k, v in left.items()}
    return [read(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
def test_a_collected_stream_is_the_whole_answer(dialect: str, reply: Reply) -> None:
    makers: dict[str, tuple[Any, Any]] = {
        "chat": (answers.chat_answer, partial(answers.chat_frames, with_usage=True)),
        "messages": (answers.message_answer, answers.message_frames),
        "responses": (responses.response_answer, responses.response_frames),
    }
    whole, frames = makers[dialect]
    collector = open_collector(dialect)
    for frame in frames(reply, reply.text, "m"):
        assert collector.feed(read_data(frame.data) or b"{}") == b""
    collected, expected = json.loads(collector.finish()), whole(reply, reply.text, "m")
    for name in ("content", "output"):
        assert read(collected.get(name)) == read(expected.get(name))
    if dialect == "chat":
        assert read(collected["choices"][0]["finish_reason"]) == read(expected["choices"][0]["finish_reason"])
        mine, theirs = read(collected["choices"][0]["message"]), read(expected["choices"][0]["message"])
        assert {k: v for k, v in mine.items() if v} == {k: v for k, v in theirs.items() if v}
    assert bool(collected.get("usage")) == bool(expected.get("usage"))


def test_a_request_becomes_one_for_a_stream_where_that_loses_nothing() -> None:
    wish = json.loads(as_stream_request("chat", b'{"model":"m","messages":[],"stream":false}') or b"")
    assert wish == {"model": "m", "messages": [], "stream": True, "stream_options": {"include_usage": True}}
    assert json.loads(as_stream_request("messages", b'{"model":"m"}') or b"") == {"model": "m", "stream": True}
    for body in (b'{"n":2}', b'{"logprobs":true}', b'{"modalities":["audio"],"audio":{}}'):
        assert as_stream_request("chat", body) is None
