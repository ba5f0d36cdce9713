"""A stream collected is the whole answer that the provider would have given."""

import json
from functools import partial
from typing import Any

import pytest

from agent_kit.sse import read_data
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.mock import answers, responses
from agent_llmgateway.mock.script import Reply
from agent_llmgateway.wire.collect import as_stream_request, open_collector

Document = dict[str, Any]
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


def collect(dialect: str, *events: Document) -> Document:
    collector = open_collector(dialect)
    for event in events:
        assert collector.feed(json.dumps(event).encode()) == b""
    answer: Document = json.loads(collector.finish())
    return answer


def delta(**fields: Any) -> Document:
    return {"choices": [{"index": 0, "delta": fields}]}


def call(arguments: str, **more: Any) -> Document:
    return {"index": 0, "function": {"arguments": arguments, **more.pop("function", {})}, **more}


@pytest.mark.parametrize("pieces", [("{bro", "ken"), ('{"a":1}', '{"a":2}'), ("[1]", ""), ('{"a":', "")])
def test_arguments_of_a_completion_are_given_on_as_they_came(pieces: tuple[str, str]) -> None:
    first = call(pieces[0], id="c1", function={"name": "f"})
    answer = collect("chat", delta(tool_calls=[first]), delta(tool_calls=[call(pieces[1])]))
    made = answer["choices"][0]["message"]["tool_calls"]
    assert made == [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "".join(pieces)}}]


def test_calls_that_came_interleaved_have_their_own_arguments() -> None:
    names = [{"index": n, "id": f"c{n}", "function": {"name": "f", "arguments": '{"n":'}} for n in (0, 1)]
    rests = [{"index": n, "function": {"arguments": f"{n}}}"}} for n in (1, 0)]
    made = collect("chat", delta(tool_calls=names), delta(tool_calls=rests))["choices"][0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in made] == [("c0", '{"n":0}'), ("c1", '{"n":1}')]


def test_fields_of_a_provider_are_kept_in_messages_and_in_calls() -> None:
    steps = [{"type": "reasoning.text", "text": text, "index": 0} for text in ("one", "two", "three")]
    signed = {"google": {"thought_signature": "s"}}
    message = collect(
        "chat",
        delta(reasoning_details=steps[:1], reasoning="one"),
        delta(reasoning_details=steps[1:], annotations=[]),
        delta(tool_calls=[call("{", id="c1", function={"name": "f"}, extra_content=signed)]),
        delta(tool_calls=[call("}")], reasoning_details=[]),
    )["choices"][0]["message"]
    assert message["reasoning_details"] == steps
    assert message["tool_calls"][0]["extra_content"] == signed
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def message_events(partial_json: str, stop_reason: str) -> list[Document]:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    arguments = {"type": "input_json_delta", "partial_json": partial_json}
    return [
        {"type": "message_start", "message": {"role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": arguments},
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}},
    ]


def test_a_call_that_the_limit_cut_is_in_the_message() -> None:
    for stop in ("max_tokens", "model_context_window_exceeded"):
        answer = collect("messages", *message_events('{"path": "a', stop))
        assert answer["stop_reason"] == stop
        assert answer["content"] == [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]
    with pytest.raises(MalformedEventError, match="input"):
        collect("messages", *message_events('{"path": "a', "tool_use"))


def test_an_emoji_in_two_deltas_is_one_and_half_of_one_is_replaced() -> None:
    halves = ["\ud83d", "\ude00", " \ud83d"]
    texts = [{"type": "text_delta", "text": half} for half in halves]
    message: list[Document] = [
        {"type": "message_start", "message": {"id": "m"}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": text} for text in texts),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    ]
    assert collect("messages", *message)["content"][0]["text"] == "\U0001f600 \ufffd"
    chunks = [{**delta(content=half), "id": "\ud83d"} for half in halves]
    answer = collect("chat", *chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert answer["choices"][0]["message"]["content"] == "\U0001f600 \ufffd"
    assert answer["id"] == "\ufffd"
    item = {"type": "message", "content": [{"type": "output_text", "text": "".join(halves)}]}
    response = collect("responses", {"type": "response.completed", "response": {"output": [item]}})
    assert response["output"][0]["content"][0]["text"] == "\U0001f600 \ufffd"
