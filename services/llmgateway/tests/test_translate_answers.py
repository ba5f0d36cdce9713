"""Answers and streams between dialects: text, calls, ids, order, stop reasons and usage are what they were."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.mock import answers, responses
from agent_llmgateway.mock.script import Reply
from agent_llmgateway.wire.answerstream import EVENT_LIMIT_BYTES
from agent_llmgateway.wire.translate import TRANSLATIONS, Target

Document = dict[str, Any]
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)
CALLS = st.lists(
    st.builds(
        lambda number, name, arguments: {"id": f"id_{number}", "name": name, "arguments": arguments},
        st.integers(0, 10**9),
        NAMES,
        st.dictionaries(WORDS, st.integers() | WORDS | st.none(), max_size=3),
    ),
    max_size=3,
    unique_by=lambda call: call["id"],
)
REPLIES = st.builds(
    lambda text, thoughts, calls, finish, chunks, usage: Reply.model_validate(
        {
            "text": text,
            "reasoning": thoughts,
            "tool_calls": calls,
            "chunks": chunks,
            "usage": usage,
            "finish": "" if calls else finish,
        }
    ),
    WORDS,
    st.just("") | WORDS,
    CALLS,
    st.sampled_from(["stop", "length", "content_filter"]),
    st.integers(1, 6),
    st.none() | st.just({"input": 100, "output": 20, "cached": 30}),
)


def whole(dialect: str, reply: Reply) -> bytes:
    made = {"chat": answers.chat_answer, "messages": answers.message_answer}[dialect](reply, reply.text, "m")
    return json.dumps(made).encode()


def stream(dialect: str, reply: Reply) -> list[bytes]:
    frames = (
        answers.chat_frames(reply, reply.text, "m", with_usage=True)
        if dialect == "chat"
        else answers.message_frames(reply, reply.text, "m")
    )
    return [read_data(frame.data) or b"" for frame in frames]


def said(document: Document, dialect: str) -> tuple[str, str, list[Any], str]:
    """Text, thoughts, calls and the end of an answer, whatever its dialect."""
    if dialect == "chat":
        message = document["choices"][0]["message"]
        calls = [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ]
        finish = document["choices"][0]["finish_reason"]
        return message["content"] or "", message.get("reasoning_content", ""), calls, finish
    if dialect == "messages":
        blocks = document["content"]
        text = "".join(b["text"] for b in blocks if b["type"] == "text")
        thoughts = "".join(b["thinking"] for b in blocks if b["type"] == "thinking")
        uses = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
        ends = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "refusal": "content_filter"}
        return text, thoughts, uses, ends[document["stop_reason"]]
    output = document["output"]
    text = "".join(p["text"] for i in output if i["type"] == "message" for p in i["content"])
    thoughts = "".join(p["text"] for i in output if i["type"] == "reasoning" for p in i["content"])
    made = [(i["call_id"], i["name"], json.loads(i["arguments"])) for i in output if i["type"] == "function_call"]
    reason = (document["incomplete_details"] or {}).get("reason", "")
    end = {"max_output_tokens": "length", "content_filter": "content_filter"}.get(reason)
    return text, thoughts, made, end or ("tool_calls" if made else "stop")


def expected(reply: Reply) -> tuple[str, str, list[Any], str]:
    calls = [(call.id, call.name, call.arguments) for call in reply.tool_calls]
    return "" if calls else reply.text, reply.reasoning, calls, answers.chat_finish(reply)


def tokens(document: Document) -> tuple[int, int] | None:
    usage = document.get("usage")
    if not usage:
        return None
    if "prompt_tokens" in usage:
        return usage["prompt_tokens"], usage["completion_tokens"]
    cached = usage.get("cache_read_input_tokens") or 0
    return usage["input_tokens"] + cached, usage["output_tokens"]


PAIRS = sorted(TRANSLATIONS)


@pytest.mark.parametrize("client,provider", PAIRS)
@given(reply=REPLIES)
@settings(max_examples=150, deadline=None)
def test_a_whole_answer_says_the_same(client: str, provider: str, reply: Reply) -> None:
    translated = json.loads(TRANSLATIONS[client, provider].answer(whole(provider, reply), Target("m")))  # type: ignore[index]
    assert said(translated, client) == expected(reply)
    if reply.usage:
        assert tokens(translated) == (100, 20)
    elif client != "messages":
        assert not translated.get("usage")


@pytest.mark.parametrize("client,provider", PAIRS)
@given(reply=REPLIES)
@settings(max_examples=150, deadline=None)
def test_a_stream_adds_up_to_the_same(client: str, provider: str, reply: Reply) -> None:
    translator = TRANSLATIONS[client, provider].stream(Target("m"), with_usage=True)  # type: ignore[index]
    out = b"".join(translator.feed(data) for data in stream(provider, reply) if data != b"[DONE]") + translator.finish()
    events = [read_data(block) for block in EventScanner(EVENT_LIMIT_BYTES).feed(out).blocks]
    built = BUILDERS[client]([json.loads(data) for data in events if data and data != b"[DONE]"])
    assert said(built, client) == expected(reply)
    assert (events[-1] == b"[DONE]") == (client == "chat")
    if reply.usage:
        assert tokens(built) == (100, 20)


def build_chat(events: list[Document]) -> Document:
    message: Document = {"content": "", "reasoning_content": "", "tool_calls": []}
    finish = usage = None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            delta = choice["delta"]
            finish = choice["finish_reason"] or finish
            message["content"] += delta.get("content") or ""
            message["reasoning_content"] += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls", ()):
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append({"id": call["id"], "function": dict(call["function"])})
                else:
                    message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def build_message(events: list[Document]) -> Document:
    """Checks the order of events on the way: one start, blocks one after the other, one stop."""
    kinds = [event["type"] for event in events]
    assert kinds.count("message_start") == kinds.count("message_stop") == kinds.count("message_delta") == 1
    assert (kinds[0], kinds[-1], kinds[-2]) == ("message_start", "message_stop", "message_delta")
    document: Document = {"content": []}
    is_open = False
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(document["content"])
            document["content"].append({**event["content_block"], "json": ""})
            is_open = True
        elif event["type"] == "content_block_stop":
            assert is_open
            is_open = False
        else:
            assert is_open
            block, delta = document["content"][event["index"]], event["delta"]
            field = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "json"}[delta["type"]]
            block[field] += delta["partial_json" if field == "json" else field]
    assert not is_open
    for block in document["content"]:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["json"] or "{}")
    return {**document, **events[-2]["delta"], "usage": events[-2].get("usage")}


def build_response(events: list[Document]) -> Document:
    """Checks that the deltas and the whole at the end agree."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    response: Document = events[-1]["response"]
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == response["output"]
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    assert text == "".join(p["text"] for i in done if i["type"] == "message" for p in i["content"])
    return response


BUILDERS = {"chat": build_chat, "messages": build_message, "responses": build_response}


def chunk(*calls: Document, finish: str | None = None, **delta: Any) -> bytes:
    document = {"delta": {"tool_calls": list(calls), **delta}, "finish_reason": finish}
    return json.dumps({"id": "i", "model": "m", "choices": [document]}).encode()


def part(arguments: str | Document, name: str | None = None, **more: Any) -> Document:
    return {"function": {"name": name, "arguments": arguments}, **more}


BERN, ROME = ("call_1", "weather", {"city": "Bern"}), ("call_2", "weather", {"city": "Rome"})
CITIES = ('{"city":"Bern"}', '{"city":"Rome"}')


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(part("", "weather", id="call_1", index=0)), chunk(part(CITIES[0], index=0)),
         chunk(part("", "weather", id="call_2", index=0)), chunk(part(CITIES[1], index=0))],
        [chunk(part(CITIES[0], "weather", id="call_1")), chunk(part(CITIES[1], "weather", id="call_2"))],
        [chunk(part('{"city":', "weather", id="call_1", index=0), part('{"city"', "weather", id="call_2", index=1)),
         chunk(part(':"Rome"}', index=1), part('"Bern"}', index=0))],
        [chunk(part("", id="call_1", index=0)), chunk(part('{"city":"B', index=0)),
         chunk(part('ern"}', "weather", index=0)),
         chunk(part(CITIES[1], "weather", id="call_2", index=1))],
        [chunk(part({"city": "Bern"}, "weather", id="call_1", index=0)),
         chunk(part({"city": "Rome"}, "weather", id="call_2", index=0))],
        [chunk(part(CITIES[0], "weather", id="call_1", index=0), part(CITIES[1], "weather", id="call_2", index=0))],
        [chunk(part('{"city":', "weather", id="call_1", index=0)),
         chunk(part('"Bern"}', "weather", id="call_1", index=0)),
         chunk(part(CITIES[1], "weather", id="call_2", index=1))],
    ],
    ids=["index 0 for all", "no index", "interleaved", "late name", "objects", "one chunk", "id repeated"],
)  # fmt: skip
def test_calls_are_told_apart_whatever_their_index(client: str, chunks: list[bytes]) -> None:
    translator = TRANSLATIONS[client, "chat"].stream(Target("m"), with_usage=True)  # type: ignore[index]
    out = b"".join(map(translator.feed, [*chunks, chunk(finish="tool_calls")])) + translator.finish()
    events = [read_data(block) for block in EventScanner(EVENT_LIMIT_BYTES).feed(out).blocks]
    built = BUILDERS[client]([json.loads(data) for data in events if data])
    assert said(built, client)[2] == [BERN, ROME]


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("numbered", [{}, {"index": 0}, {"index": 0, "id": ""}], ids=["nothing", "index", "empty id"])
def test_calls_of_one_tool_without_ids_are_told_apart(client: str, numbered: Document) -> None:
    calls = [part(arguments, "weather", **numbered) for arguments in CITIES]
    repeated = part("", "weather", **numbered)  # the name once more without anything is no call
    streams = [
        [chunk(*calls)],
        [chunk(calls[0]), chunk(calls[1]), chunk(repeated)],
        [
            chunk(part('{"city":', "weather", **numbered)),
            chunk(part('"Bern"}', "weather", **numbered)),
            chunk(calls[1]),
        ],
    ]
    for chunks in streams:
        translator = TRANSLATIONS[client, "chat"].stream(Target("m"), with_usage=True)  # type: ignore[index]
        out = b"".join(map(translator.feed, [*chunks, chunk(finish="tool_calls")])) + translator.finish()
        events = [json.loads(data) for data in map(read_data, EventScanner(EVENT_LIMIT_BYTES).feed(out).blocks) if data]
        check_two_calls(said(BUILDERS[client](events), client)[2])


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("numbered", [{}, {"index": 0}, {"index": 0, "id": ""}, {"id": "same"}])
def test_each_entry_of_a_whole_answer_is_a_call(client: str, numbered: Document) -> None:
    calls = [part(arguments, "weather", **numbered) for arguments in CITIES]
    body = json.dumps({"choices": [{"message": {"tool_calls": calls}, "finish_reason": "tool_calls"}]}).encode()
    check_two_calls(said(json.loads(TRANSLATIONS[client, "chat"].answer(body, Target("m"))), client)[2])  # type: ignore[index]


def check_two_calls(calls: list[Any]) -> None:
    assert [call[1:] for call in calls] == [BERN[1:], ROME[1:]]
    assert len({call[0] for call in calls}) == 2
    assert all(call[0] for call in calls)


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize(
    "chunks,field",
    [
        ([chunk(part(CITIES[0], "weather", id="a", index=0)), chunk(part(CITIES[1], index=0))], "function.arguments"),
        ([chunk(part('{"city":', "weather", id="a", index=0))], "function.arguments"),
        ([chunk(part(CITIES[0], id="a", index=0))], "function.name"),
        ([chunk(content=7)], "choices[0].delta.content"),
        ([chunk(content=[{"type": "text", "text": {"a": 1}}])], "content[0].text"),
        ([chunk(audio={"data": "x"})], "choices[0].delta.audio"),
        ([chunk(content="x", finish="error")], "finish_reason"),
        ([b'{"choices": [{"delta": "text"}]}'], "choices[0].delta"),
    ],
)
def test_what_cannot_be_read_is_an_error_that_names_the_field(client: str, chunks: list[bytes], field: str) -> None:
    translator = TRANSLATIONS[client, "chat"].stream(Target("m"), with_usage=True)  # type: ignore[index]

    def read() -> None:
        for data in chunks:
            translator.feed(data)
        translator.finish()

    with pytest.raises(MalformedEventError, match=field.replace("[", r"\[").replace("]", r"\]")):
        read()


ODD_ANSWERS = [
    {"choices": [{"message": {"content": [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]}}]},
    {"choices": [{"message": {"content": "one two"}}], "error": {}, "id": None, "model": None},
    {"choices": [{"message": {"content": "one two", "tool_calls": []}, "index": 0}], "usage": {"prompt_tokens": "7"}},
    {"choices": [{"message": {"content": "one two"}}], "usage": {"prompt_tokens": 7.0, "completion_tokens": "2"}},
    {"choices": [{"message": {"content": "one two"}, "finish_reason": "eos"}], "usage": "none"},
]


@pytest.mark.parametrize("client", ["messages", "responses"])
@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_odd_answer_is_read(client: str, answer: Document) -> None:
    for bom in (b"", b"\xef\xbb\xbf"):
        body = bom + json.dumps(answer).encode()
        built = json.loads(TRANSLATIONS[client, "chat"].answer(body, Target("m")))  # type: ignore[index]
        assert said(built, client)[0] == "one two"
        assert built["model"] == "m"


@pytest.mark.parametrize("client", ["messages", "responses"])
def test_a_character_cut_in_two_is_one(client: str) -> None:
    translator = TRANSLATIONS[client, "chat"].stream(Target("m"), with_usage=True)  # type: ignore[index]
    halves = [b'{"choices":[{"delta":{"content":"a\\ud83d"}}]}', b'{"choices":[{"delta":{"content":"\\ude00b"}}]}']
    out = b"".join(map(translator.feed, [*halves, chunk(finish="stop")])) + translator.finish()
    events = [json.loads(data) for data in map(read_data, EventScanner(EVENT_LIMIT_BYTES).feed(out).blocks) if data]
    assert said(BUILDERS[client](events), client)[0] == "a\U0001f600b"


def test_arguments_that_are_no_json_are_a_failure() -> None:
    reply = Reply.model_validate({"tool_calls": [{"name": "f", "arguments": "{broken"}]})
    with pytest.raises(MalformedEventError):
        TRANSLATIONS["messages", "chat"].answer(whole("chat", reply), Target("m"))


def test_stop_with_tool_calls_is_tool_use() -> None:
    reply = Reply.model_validate({"tool_calls": [{"name": "f", "arguments": {}}], "finish": "stop"})
    assert (
        json.loads(TRANSLATIONS["messages", "chat"].answer(whole("chat", reply), Target("m")))["stop_reason"]
        == "tool_use"
    )
    assert responses.response_answer(reply, "", "m")["output"][0]["type"] == "function_call"


def test_half_of_a_character_in_a_name_is_replaced_in_whole_answers_and_in_streams() -> None:
    call = {"index": 0, "id": "\ud83d", "type": "function", "function": {"name": "f\ud83d", "arguments": '{"a": 1}'}}
    said = {"role": "assistant", "content": None, "tool_calls": [call]}
    for client in ("messages", "responses"):
        translation = TRANSLATIONS[client, "chat"]
        choice = {"index": 0, "finish_reason": "tool_calls"}
        whole = json.dumps({"id": "\ud83d", "choices": [{**choice, "message": said}]}).encode()
        assert "f\ufffd" in translation.answer(whole, Target("m")).decode()
        stream = translation.stream(Target("m"), with_usage=True)
        chunk = json.dumps({"id": "\ud83d", "choices": [{**choice, "delta": said}]}).encode()
        assert "f\ufffd" in (stream.feed(chunk) + stream.finish()).decode()
