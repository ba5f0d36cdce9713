"""OpenAI chat completions. A stream is complete with a `finish_reason`; `[DONE]` is only its last line."""

from typing import Annotated, Any, Final, Literal

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.failures.failure import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    NOT_PLAIN,
    AnswerFacts,
    DialectName,
    EventInfo,
    PlainCount,
    Problem,
    decode_alike,
    openai_error,
)
from agent_llmgateway.wire.lenient import is_empty, list_at, object_at, read_document, word_at
from agent_llmgateway.wire.textsize import size_of, size_of_text
from agent_llmgateway.wire.usage import read_chat_usage


class _PlainDelta(msgspec.Struct, frozen=True):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw(b"")


class _PlainChoice(msgspec.Struct):
    index: Literal[0] = 0
    finish_reason: None = None
    delta: _PlainDelta = _PlainDelta()


class _PlainChunk(msgspec.Struct):
    choices: Annotated[list[_PlainChoice], msgspec.Meta(min_length=1, max_length=1)]
    usage: None = None
    error: None = None


_PLAIN: Final = msgspec.json.Decoder(_PlainChunk)
_DONE: Final = EventInfo(done=True)
_OUTPUT_FIELDS: Final = (
    "content", "tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio", "images",
)  # fmt: skip


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
        if not is_empty(chunk.get("error")):
            return EventInfo(failure=read_event_failure(chunk["error"], dialect=self.name))
        output, text_bytes = False, 0
        unfinished: list[int] = []
        finished: list[int] = []
        for place, item in enumerate(list_at(chunk.get("choices"), "choices")):
            choice = object_at(item, f"choices[{place}]")
            index = choice.get("index")
            ends = finished if choice.get("finish_reason") else unfinished
            ends.append(index if isinstance(index, int) else place)
            delta = object_at(choice.get("delta"), f"choices[{place}].delta")
            output = output or any(not is_empty(delta.get(name)) for name in _OUTPUT_FIELDS)
            text_bytes += size_of([delta.get(name) for name in _OUTPUT_FIELDS])
        usage = read_chat_usage(chunk.get("usage"))
        return EventInfo(output, bool(finished), False, usage, None, tuple(unfinished), tuple(finished), text_bytes)

    def count_plain(self, events: bytes) -> PlainCount:
        """See `Dialect`. A chunk with a finish, usage or an error is not one that can be decoded here."""
        chunks = decode_alike(_PLAIN, b"data: ", events)
        return NOT_PLAIN if chunks is None else PlainCount(len(chunks), sum(map(_text_bytes, chunks)))

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = read_document(body)
        if not is_empty(answer.get("error")):
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


def _text_bytes(chunk: _PlainChunk) -> int:
    delta = chunk.choices[0].delta
    size = size_of_text(delta.content or "") + len(delta.tool_calls)
    if delta.reasoning_content or delta.reasoning:
        size += size_of_text(delta.reasoning_content or delta.reasoning or "")
    return size
