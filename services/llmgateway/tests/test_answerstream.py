import asyncio
import json
import time

import pytest

from agent_kit.sse import EventScanner
from agent_llmgateway.errors import AttemptError
from agent_llmgateway.mock import answers, responses
from agent_llmgateway.mock.script import Reply
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import silent_failure
from agent_llmgateway.wire.answerstream import EVENT_LIMIT_BYTES, AnswerStream
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.usage import Usage

REPLY = Reply(text="one two three four", chunks=4)
FRAMES = {
    "chat": answers.chat_frames(REPLY, REPLY.text, "m", with_usage=True),
    "messages": answers.message_frames(REPLY, REPLY.text, "m"),
    "responses": responses.response_frames(REPLY, REPLY.text, "m"),
}
ALL = list(FRAMES)


class Source:
    """Chunks, then the end, or silence."""

    def __init__(self, chunks: list[bytes], *, silent: bool = False) -> None:
        self.chunks = chunks
        self.silent = silent
        self.closed = False

    async def read_chunk(self, timeout_s: float) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.silent:
            raise AttemptError(silent_failure(f"nothing for {timeout_s}"))
        return b""

    def close(self) -> None:
        self.closed = True


def read(dialect: str, chunks: list[bytes], *, silent: bool = False) -> tuple[bytes, AnswerStream]:
    stream = AnswerStream(Source(chunks, silent=silent), DIALECTS[dialect])  # type: ignore[index]

    async def drain() -> bytes:
        seen = b""
        while not stream.ended:
            seen += await stream.next(1.0)
        return seen

    return asyncio.run(drain()), stream


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_a_whole_stream_goes_through_byte_by_byte(dialect: str, size: int) -> None:
    whole = b"".join(frame.data for frame in FRAMES[dialect])
    seen, stream = read(dialect, [whole[at : at + size] for at in range(0, len(whole), size)])
    assert seen == whole
    assert stream.usage == Usage(12, 8)
    assert stream.outputs == 4
    assert stream.malformed == 0


@pytest.mark.parametrize("dialect", ALL)
def test_cut_anywhere_before_its_finish_it_is_a_failure(dialect: str) -> None:
    frames = [frame.data for frame in FRAMES[dialect]]
    last = next(
        i
        for i, data in enumerate(frames)
        if b'"finish_reason": "stop"' in data or b"_stop\n" in data or b"completed\n" in data
    )
    if dialect == "messages":
        last = len(frames) - 1
    for end in range(last):
        with pytest.raises(AttemptError) as broken:
            read(dialect, frames[:end])
        assert broken.value.failure.cause is Cause.BROKEN


def test_done_without_a_finish_is_a_cut_however_polite() -> None:
    frames = [frame.data for frame in FRAMES["chat"] if b'"finish_reason": "stop"' not in frame.data]
    with pytest.raises(AttemptError) as broken:
        read("chat", [b"".join(frames)])
    assert broken.value.failure.cause is Cause.BROKEN


@pytest.mark.parametrize("silent", [False, True])
def test_a_missing_done_is_added(*, silent: bool) -> None:
    whole = b"".join(frame.data for frame in FRAMES["chat"])
    seen, _ = read("chat", [whole.removesuffix(b"data: [DONE]\n\n")], silent=silent)
    assert seen == whole


def test_an_unfinished_last_event_is_not_given_to_the_client() -> None:
    data = FRAMES["chat"][1].data
    source = Source([data + data[:30]])
    stream = AnswerStream(source, DIALECTS["chat"])
    assert asyncio.run(stream.next(1.0)) == data


@pytest.mark.parametrize("bad", [b"data: {nope\n\n", b"data: 7\n\n", b'data: {"choices": 3}\n\n', b"data: \xff\n\n"])
def test_one_malformed_event_goes_on_as_it_came_and_is_counted(bad: bytes) -> None:
    frames = [frame.data for frame in FRAMES["chat"]]
    seen, stream = read("chat", [b"".join([*frames[:2], bad, *frames[2:]])])
    assert seen == b"".join([*frames[:2], bad, *frames[2:]])
    assert stream.malformed == 1


@pytest.mark.parametrize(
    "error,cause",
    [({"type": "overloaded_error", "message": "x"}, Cause.UNAVAILABLE),
     ({"type": "rate_limit_error", "message": "x"}, Cause.RATE_LIMIT),
     ({"message": "x", "code": 429}, Cause.RATE_LIMIT),
     ({"type": "api_error", "message": "x"}, Cause.SERVER),
     ({"code": "context_length_exceeded", "message": "x"}, Cause.CONTEXT),
     ({"type": "authentication_error", "message": "x"}, Cause.KEY),
     ({"type": "invalid_request_error", "message": "x"}, Cause.REFUSED),
     ("just text", Cause.UNAVAILABLE)],
)  # fmt: skip
@pytest.mark.parametrize("dialect", ALL)
def test_an_error_inside_is_what_it_would_be_as_a_status(dialect: str, error: object, cause: Cause) -> None:
    data = json.dumps({"type": "error", "error": error}).encode()
    with pytest.raises(AttemptError) as failed:
        read(dialect, [FRAMES[dialect][0].data, b"event: error\ndata: " + data + b"\n\n"])
    assert failed.value.failure.cause is cause


def test_comments_and_pings_are_passed_on_and_are_no_output() -> None:
    stream = AnswerStream(Source([b": ping\n\n", b'event: ping\ndata: {"type": "ping"}\n\n']), DIALECTS["messages"])
    assert asyncio.run(stream.next(1.0)) == b": ping\n\n"
    assert asyncio.run(stream.next(1.0)).startswith(b"event: ping")
    assert stream.outputs == 0


LONG_REPLY = Reply(text="word " * 300, chunks=300)
LONG_FRAMES = {
    "chat": answers.chat_frames(LONG_REPLY, LONG_REPLY.text, "m", with_usage=True),
    "messages": answers.message_frames(LONG_REPLY, LONG_REPLY.text, "m"),
    "responses": responses.response_frames(LONG_REPLY, LONG_REPLY.text, "m"),
}
LONG = {dialect: [frame.data for frame in frames] for dialect, frames in LONG_FRAMES.items()}


def in_chunks(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("size", [3000, 10_000, 1 << 20])
def test_a_long_stream_in_large_chunks_goes_through_byte_by_byte(dialect: str, size: int) -> None:
    whole = b"".join(LONG[dialect])
    seen, stream = read(dialect, in_chunks(whole, size))
    assert seen == whole
    assert stream.usage is not None
    assert stream.outputs >= 300
    assert not stream.malformed


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("size", [3000, 1 << 20])
def test_a_malformed_event_in_the_middle_of_a_large_chunk_goes_on_as_it_came(dialect: str, size: int) -> None:
    frames = list(LONG[dialect])
    spoilt = [*frames[:150], frames[150][: len(frames[150]) // 2] + b"\n\n", *frames[151:]]
    seen, stream = read(dialect, in_chunks(b"".join(spoilt), size))
    assert seen == b"".join(spoilt)
    assert stream.malformed == 1


@pytest.mark.parametrize("dialect", ALL)
def test_nothing_behind_an_error_in_a_large_chunk_is_given_on(dialect: str) -> None:
    frames = LONG[dialect]
    event = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"gone"}}\n\n'
    stream = AnswerStream(Source([b"".join([*frames[:150], event, *frames[150:]])]), DIALECTS[dialect])  # type: ignore[index]
    assert asyncio.run(stream.next(1.0)) == b"".join(frames[:150])
    assert stream.failure is not None
    assert not stream.ended


@pytest.mark.parametrize(
    "events",
    [b'data: {"choices":[{}]}\n\ndata: {"choices":[{}]}',  # the last one is not whole
     b'data: {"choices":[{}]} {"choices":[{}]}\n\n',  # two documents in one event
     b'data: {"choices":\n[{}]}\n\n',  # one document on two lines, of which the second is no data
     b'data: {"choices":[{}]}\n\n: a comment\n\n',
     b'data: {"choices":[{"finish_reason":"stop"}]}\n\n',
     b'data: {"choices":[{}],"usage":{"prompt_tokens":1}}\n\n',
     b'data: {"choices":[{}],"error":{}}\n\n',
     b'data: {"choices":[]}\n\n', b"data: [DONE]\n\n", b""],
)  # fmt: skip
def test_what_is_more_or_less_than_output_is_not_plain(events: bytes) -> None:
    plain = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":null}],"usage":null}\n\n'
    chat = DIALECTS["chat"]
    assert chat.count_plain(plain * 3) == 3
    assert chat.count_plain(events) == 0
    assert chat.count_plain(plain + events) == (1 if not events else 0)


def delta_events(dialect: str, deltas: list[dict[str, object]]) -> list[bytes]:
    """An event of output for each delta."""
    events = []
    for delta in deltas:
        if dialect == "chat":
            events.append(b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode())
        elif dialect == "messages":
            event = json.dumps({"type": "content_block_delta", "index": 0, "delta": delta})
            events.append(b"event: content_block_delta\ndata: " + event.encode())
        else:
            event = json.dumps({"type": "response.output_text.delta", **delta})
            events.append(b"event: response.output_text.delta\ndata: " + event.encode())
    return [event + b"\n\n" for event in events]


DELTAS: dict[str, tuple[list[dict[str, object]], int]] = {
    "chat": (
        [
            {"role": "assistant", "content": "one"},
            {"content": "z\u00e9ro"},
            {"reasoning_content": "four"},
            {"reasoning": "four"},
            {"content": "a", "reasoning": "bc"},
            {"refusal": "no, no"},
            {"reasoning_details": [{"type": "reasoning.text", "text": "seven "}]},
            {"audio": {"data": "A" * 40}},
            {"images": [{"image_url": {"url": "B" * 30}}]},
            {"function_call": {"arguments": "{}"}},
            {"tool_calls": [{"index": 0, "id": "not made by a model", "function": {"name": "f", "arguments": "{}"}}]},
        ],
        3 + 5 + 4 + 4 + 3 + 6 + 6 + 40 + 30 + 2 + 3,
    ),
    "messages": (
        [
            {"type": "text_delta", "text": "one"},
            {"type": "thinking_delta", "thinking": "\u4e00"},
            {"type": "input_json_delta", "partial_json": "{}"},
            {"type": "signature_delta", "signature": "not made by a model"},
            {"type": "citations_delta", "citation": {"cited_text": "quoted"}},
        ],
        3 + 3 + 2 + 6,
    ),
    "responses": ([{"delta": "one"}, {"delta": "z\u00e9ro"}, {"delta": {"text": "four"}}, {"delta": ""}], 3 + 5 + 4),
}


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("size", [1, 90, 3000, 1 << 20])
def test_the_text_of_a_stream_is_measured_the_same_however_it_comes(dialect: str, size: int) -> None:
    deltas, expected = DELTAS[dialect]
    frames = [frame.data for frame in FRAMES[dialect]]
    events = b"".join(delta_events(dialect, deltas)) * 20
    begins = next(place for place, frame in enumerate(frames) if b"one" in frame) + 1
    whole = b"".join([*frames[:begins], events, *frames[begins:]])
    stream = AnswerStream(Source(in_chunks(whole, size)), DIALECTS[dialect], measures=True)  # type: ignore[index]

    async def drain() -> bytes:
        seen = b""
        while not stream.ended:
            seen += await stream.next(1.0)
        return seen

    assert asyncio.run(drain()) == whole
    assert stream.text_bytes == len(REPLY.text) + 20 * expected


@pytest.mark.parametrize("dialect", ALL)
def test_counting_finds_what_measuring_finds(dialect: str) -> None:
    """Only text that the short way can measure is plain for it; everything else is looked at event by event."""
    reader = DIALECTS[dialect]  # type: ignore[index]
    for event in delta_events(dialect, DELTAS[dialect][0]):
        measured, text_bytes = reader.measure_plain(event)
        assert reader.count_plain(event) == 1
        assert measured in (0, 1)
        assert not measured or text_bytes == reader.read_event(event.split(b"data: ")[1]).text_bytes


def test_text_in_the_form_of_a_whole_answer_is_not_measured_as_none() -> None:
    event = b'data: {"choices":[{"index":0,"message":{"content":"seven words"}}]}\n\n'
    assert DIALECTS["chat"].measure_plain(event) == (0, 0)
    assert DIALECTS["chat"].read_event(event.removeprefix(b"data: ")).text_bytes == len("seven words")


def choice(index: int, text: str = "", finish: str | None = None) -> bytes:
    document = {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def test_an_answer_of_two_choices_is_complete_when_both_are() -> None:
    begun = [choice(0, "a"), choice(1, "b"), choice(0, finish="stop")]
    with pytest.raises(AttemptError):
        read("chat", list(begun))
    seen, _ = read("chat", [*begun, choice(1, "c"), choice(1, finish="stop")])
    assert seen.endswith(choice(1, finish="stop") + b"data: [DONE]\n\n")


def test_a_second_choice_that_is_late_is_awaited() -> None:
    source = Source([choice(0, "a"), choice(0, finish="stop")], silent=True)
    stream = AnswerStream(source, DIALECTS["chat"], choices=2)
    assert asyncio.run(stream.next(1.0))
    assert asyncio.run(stream.next(1.0))
    with pytest.raises(AttemptError):
        asyncio.run(stream.next(1.0))


def test_a_dialect_with_one_answer_ends_with_it_however_many_were_asked_for() -> None:
    events = b"".join(frame.data for frame in FRAMES["messages"])
    stream = AnswerStream(Source([events]), DIALECTS["messages"], choices=1 << 62)
    assert asyncio.run(stream.next(1.0)) == events
    assert stream.ended


def test_an_event_of_megabytes_that_comes_in_single_bytes_is_read_in_linear_time() -> None:
    event = choice(0, "x" * 400_000)
    scanner = EventScanner(EVENT_LIMIT_BYTES)
    began = time.process_time()
    blocks = [block for at in range(len(event)) for block in scanner.feed(event[at : at + 1]).blocks]
    assert blocks == [event]
    assert time.process_time() - began < 5
