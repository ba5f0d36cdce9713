"""OpenAI chat completions. A stream is complete with a `finish_reason`; `[DONE]` is only its last line."""

from typing import Annotated, Any, Final, Literal

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.providererrors.classify import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    AnswerFacts,
    DialectName,
    EventInfo,
    Problem,
    decode_alike,
    openai_error,
)
from agent_llmgateway.wire.lenient import (
    index_at,
    is_empty,
    list_at,
    object_at,
    read_document,
    said_in,
    says_error,
    word_at,
)
from agent_llmgateway.wire.textsize import size_of, size_of_text
from agent_llmgateway.wire.usage import read_chat_usage


class _PlainChoice(msgspec.Struct):
    index: Literal[0] = 0
    finish_reason: None = None


class _PlainChunk(msgspec.Struct):
    choices: Annotated[list[_PlainChoice], msgspec.Meta(min_length=1, max_length=1)]
    usage: None = None
    error: None = None


class _Delta(msgspec.Struct, frozen=True):
    """Text and calls of `_OUTPUT_FIELDS`; a delta with another one of them is not measured here."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    thinking: None = None
    function_call: None = None
    audio: None = None
    images: None = None
    reasoning_details: None = None


class _MeasuredChoice(_PlainChoice):
    delta: _Delta = _Delta()
    message: None = None
    text: None = None


class _MeasuredChunk(msgspec.Struct):
    choices: Annotated[list[_MeasuredChoice], msgspec.Meta(min_length=1, max_length=1)]
    usage: None = None
    error: None = None


_PLAIN: Final = msgspec.json.Decoder(_PlainChunk)
_MEASURED: Final = msgspec.json.Decoder(_MeasuredChunk)
_DONE: Final = EventInfo(done=True)
_OUTPUT_FIELDS: Final = frozenset(
    {
        "content",
        "tool_calls",
        "reasoning_content",
        "reasoning",
        "thinking",
        "refusal",
        "function_call",
        "audio",
        "images",
    }
)


class Chat:
    """`POST /v1/chat/completions`."""

    name: DialectName = "chat"
    path = "/v1/chat/completions"
    family: Final = "openai"
    sentinel = b"data: [DONE]\n\n"

    def read_event(self, data: bytes) -> EventInfo:
        """See `Dialect`."""
        if data.strip() == b"[DONE]":
            return _DONE
        chunk = read_document(data)
        if says_error(chunk.get("error")):
            return EventInfo(failure=read_event_failure(chunk["error"], dialect=self.name))
        output, text_bytes = False, 0
        unfinished: list[int] = []
        finished: list[int] = []
        for place, item in enumerate(list_at(chunk.get("choices"), "choices")):
            choice = object_at(item, f"choices[{place}]")
            index = index_at(choice.get("index"))
            ends = finished if choice.get("finish_reason") else unfinished
            ends.append(place if index is None else index)
            delta = said_in(choice, "delta", f"choices[{place}]")
            made = [value for name, value in delta.items() if name in _OUTPUT_FIELDS and not is_empty(value)]
            if not made and not is_empty(delta.get("reasoning_details")):
                made = [delta["reasoning_details"]]
            if made:
                output, text_bytes = True, text_bytes + size_of(made)
        usage = read_chat_usage(chunk.get("usage"))
        return EventInfo(output, bool(finished), False, usage, None, tuple(unfinished), tuple(finished), text_bytes)

    def count_plain(self, events: bytes) -> int:
        """See `Dialect`. A chunk with a finish, usage or an error is not one that can be decoded here."""
        return len(decode_alike(_PLAIN, b"data: ", events))

    def measure_plain(self, events: bytes) -> tuple[int, int]:
        """See `Dialect`."""
        chunks = decode_alike(_MEASURED, b"data: ", events)
        made: list[str] = []
        calls: list[list[dict[str, Any]]] = []
        for chunk in chunks:
            delta = chunk.choices[0].delta
            if said := delta.content or delta.refusal:
                made.append(said)
            if thought := delta.reasoning_content or delta.reasoning:
                made.append(thought)
            if delta.tool_calls:
                calls.append(delta.tool_calls)
        return len(chunks), size_of_text("".join(made)) + (size_of(calls) if calls else 0)

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = read_document(body)
        if says_error(answer.get("error")):
            return AnswerFacts(failure=read_event_failure(answer["error"], dialect=self.name, body=body))
        choices: list[Any] = list_at(answer.get("choices"), "choices")
        if not choices:
            raise MalformedEventError("`choices` is empty")
        finish = object_at(choices[0], "choices[0]").get("finish_reason")
        return AnswerFacts(word_at(answer.get("model")), read_chat_usage(answer.get("usage")), None, word_at(finish))

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode({"error": openai_error(problem)})

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`: the SDKs raise on an `error` in the data."""
        return b"data: " + self.error_body(problem) + b"\n\n"
