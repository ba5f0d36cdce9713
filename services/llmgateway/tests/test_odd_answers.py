"""Answers in forms that some servers have: read as what they say, to the last byte, or refused by the field's name."""

import asyncio
import json
from typing import Any

import pytest

from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import AttemptError, MalformedEventError
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import read_failure
from agent_llmgateway.wire.answerstream import AnswerStream
from agent_llmgateway.wire.collect import open_collector
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.translate import TRANSLATIONS, Target

Document = dict[str, Any]


def chunk(delta: Document | None, finish: str | None = None, **more: Any) -> Document:
    return {"choices": [{"index": 0, **({} if delta is None else {"delta": delta}), "finish_reason": finish, **more}]}


def calls(*pieces: Document) -> Document:
    return chunk({"tool_calls": list(pieces)})


class Source:
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def read_chunk(self, timeout_s: float) -> bytes:
        assert timeout_s
        return self._chunks.pop(0) if self._chunks else b""

    def close(self) -> None:
        pass


async def drain(stream: AnswerStream) -> bytes | None:
    out = b""
    try:
        while not stream.ended:
            out += await stream.next(1.0)
    except AttemptError:
        return None
    return out


def said(*events: Document) -> Document | None:
    """What a client of messages reads of a stream of chunks: texts by kind, and calls. None: it ended with an error."""
    out = _read("messages", "chat", events)
    return None if out is None else _of_messages(out)


def said_of_message(*events: Document) -> Document | None:
    """The same for a client of chat completions, of a stream of messages."""
    out = _read("chat", "messages", events)
    return None if out is None else _of_chat(out)


def _read(client: Any, provider: Any, events: tuple[Document, ...]) -> bytes | None:
    frames = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    translator = TRANSLATIONS[client, provider].stream(Target("m"), with_usage=True)
    return asyncio.run(drain(AnswerStream(Source(frames), DIALECTS[provider], translator)))


def tool_block(index: str, name: str) -> Document:
    block = {"type": "tool_use", "id": f"t{name}", "name": name, "input": {}}
    return {"type": "content_block_start", "index": index, "content_block": block}


def input_delta(index: str, text: str) -> Document:
    delta = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _events(out: bytes) -> list[Document]:
    datas = [read_data(block) for block in EventScanner(1 << 20).feed(out).blocks]
    return [json.loads(data) for data in datas if data and data != b"[DONE]"]


def _of_messages(out: bytes) -> Document:
    blocks: list[Document] = []
    for event in _events(out):
        if event["type"] == "content_block_start":
            blocks.append({**event["content_block"], "all": ""})
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            blocks[event["index"]]["all"] += delta.get("text") or delta.get("thinking") or delta.get("partial_json", "")
    return {str(block.get("name", block["type"])): block["all"] for block in blocks}


def _of_chat(out: bytes) -> Document:
    found: Document = {}
    names: dict[int, str] = {}
    is_finished = False
    for event in _events(out):
        for choice in event["choices"]:
            if text := choice["delta"].get("content"):
                assert not is_finished, "output behind the finish"
                found["text"] = found.get("text", "") + text
            for call in choice["delta"].get("tool_calls", ()):
                name = names.setdefault(call["index"], call["function"].get("name", ""))
                found[name] = found.get(name, "") + call["function"]["arguments"]
            is_finished = is_finished or bool(choice["finish_reason"])
    return found


@pytest.mark.parametrize("form", [str, float])
def test_interleaved_calls_keep_their_arguments_whatever_type_their_index_has(form: Any) -> None:
    first, second = form(0), form(1)
    names = calls(
        *({"index": at, "id": name, "function": {"name": name}} for at, name in ((first, "f"), (second, "g")))
    )
    pieces = [(first, '{"x":'), (second, '{"y":'), (first, "1}"), (second, "2}")]
    deltas = [calls({"index": index, "function": {"arguments": text}}) for index, text in pieces]
    assert said(names, *deltas, chunk({}, "tool_calls")) == {"f": '{"x":1}', "g": '{"y":2}'}


def test_blocks_of_a_message_keep_their_arguments_too() -> None:
    deltas = [input_delta("0", '{"x":'), input_delta("1", '{"y":2}'), input_delta("0", "1}")]
    seen = said_of_message(tool_block("0", "f"), tool_block("1", "g"), *deltas, {"type": "message_stop"})
    assert seen == {"f": '{"x":1}', "g": '{"y":2}'}


@pytest.mark.parametrize(
    "events",
    [
        [chunk(None, "stop", message={"role": "assistant", "content": "hello"})],
        [chunk({"role": "assistant"}, text="hel"), chunk({}, text="lo"), chunk({}, "stop", text="")],
        [chunk(None, text="hello"), chunk(None, "stop")],
        [chunk({"content": "hel"}), chunk({"content": "lo"}), chunk(None, "stop", message={"content": "hello"})],
        [chunk({"content": {"text": "hel"}}), chunk({"content": [{"type": "text", "text": {"value": "lo"}}]}, "stop")],
    ],
    ids=["a whole message as the only event", "text of completions", "text alone", "a summary", "parts as objects"],
)
def test_text_is_found_where_a_server_puts_it(events: list[Document]) -> None:
    assert said(*events) == {"text": "hello"}


def test_a_message_amid_a_stream_is_an_error_since_nobody_knows_what_it_repeats() -> None:
    assert said(chunk(None, message={"content": "hel"}), chunk(None, "stop", message={"content": "hello"})) is None


@pytest.mark.parametrize("field", ["thinking", "reasoning", "reasoning_content"])
def test_thoughts_are_found_under_each_name(field: str) -> None:
    assert said(chunk({field: "why"}), chunk({"content": "so"}, "stop")) == {"thinking": "why", "text": "so"}
    details = chunk({"reasoning_details": [{"type": "reasoning.text", "text": "why"}]})
    assert said(details, chunk({"content": "so"}, "stop")) == {"thinking": "why", "text": "so"}


@pytest.mark.parametrize("delta", [{"refusal": "no"}, {"function_call": {"name": "f"}}, {"reasoning": "hm"}])
def test_a_choice_that_was_not_asked_for_is_never_dropped(delta: Document) -> None:
    other = {"choices": [{"index": "1", "delta": delta, "finish_reason": "stop"}]}
    assert said(chunk({"content": "a"}), other, chunk({}, "stop")) is None


def test_what_a_message_begins_with_is_read_once() -> None:
    content = [{"type": "text", "text": "hello"}]
    start: Document = {"type": "message_start", "message": {"content": content, "usage": {}}}
    end: list[Document] = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    opening: Document = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    block: list[Document] = [
        opening,
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
    ]
    assert said_of_message(start, *end) == {"text": "hello"}
    assert said_of_message(start, *block, *end) == {"text": "hello"}
    collector = open_collector("messages")
    for event in (start, *end):
        collector.feed(json.dumps(event).encode())
    assert json.loads(collector.finish())["content"] == content


NO_ERROR: list[Any] = [0, "null", {"message": ""}, {"code": None, "message": None}, {"code": "200"}]
NO_ERROR += [{"code": 0, "message": "success"}]


@pytest.mark.parametrize("error", NO_ERROR, ids=json.dumps)
def test_an_error_that_says_nothing_spoils_no_answer(error: Any) -> None:
    answer = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "error": error}
    assert DIALECTS["chat"].read_answer(json.dumps(answer).encode()).failure is None
    assert said({**chunk({"content": "hi"}), "error": error}, chunk({}, "stop")) == {"text": "hi"}
    message = {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "error": error}
    assert DIALECTS["messages"].read_answer(json.dumps(message).encode()).failure is None


@pytest.mark.parametrize("error", ["overloaded", {"code": 500}, {"type": "server_error", "message": None}])
def test_an_error_that_says_something_is_one(error: Any) -> None:
    answer = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}], "error": error}
    assert DIALECTS["chat"].read_answer(json.dumps(answer).encode()).failure is not None


def test_two_choices_without_an_index_are_told_apart() -> None:
    answer = {"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}
    with pytest.raises(MalformedEventError, match=r"choices\[1\]"):
        TRANSLATIONS["messages", "chat"].answer(json.dumps(answer).encode(), Target("m"))


@pytest.mark.parametrize(
    "body, cause",
    [
        ({"error": {"code": "insufficient_quota", "message": None}}, Cause.KEY),
        ({"errors": [{"message": "Your credit balance is too low"}]}, Cause.KEY),
        ({"detail": [{"loc": ["body"], "msg": "This model does not support image input"}]}, Cause.UNSUITED),
        ("Your account has insufficient credit", Cause.KEY),
        ("<html>credit balance is too low</html>", Cause.REFUSED),
        ([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}], Cause.KEY),
    ],
    ids=["a code alone", "errors", "details", "plain text", "a page", "in a list"],
)
def test_the_words_of_a_failure_are_found_in_each_form(body: Any, cause: Cause) -> None:
    given = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    assert read_failure(400, {}, given, dialect="chat", now_epoch_s=0).cause is cause


NESTED = 300


@pytest.mark.parametrize("begin,end", [("[", "]"), ('{"type":"text","text":', "}"), ('[{"text":', "}]")])
def test_what_is_nested_without_end_is_refused_by_its_field(begin: str, end: str) -> None:
    content = begin * NESTED + '"x"' + end * NESTED
    body = f'{{"choices":[{{"message":{{"content":{content}}}}}]}}'.encode()
    with pytest.raises(MalformedEventError):
        TRANSLATIONS["messages", "chat"].answer(body, Target("m"))


@pytest.mark.parametrize("begin,end", [('{"code":', "}"), ('{"errors":[', "]}"), ('{"detail":[', "]}"), ("[", "]")])
def test_an_error_that_is_nested_without_end_is_one(begin: str, end: str) -> None:
    error = begin * NESTED + '{"message":"x"}' + end * NESTED
    body = f'{{"choices":[],"error":{error}}}'.encode()
    assert DIALECTS["chat"].read_answer(body).failure is not None
    assert read_failure(400, {}, body, dialect="chat", now_epoch_s=0).cause is Cause.REFUSED
