"""OpenAI chat completions. A stream is complete with a `finish_reason`; `[DONE]` is only its last line."""

from typing import Annotated, Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.failures.failure import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    OUTPUT,
    QUIET,
    AnswerFacts,
    DialectName,
    EventInfo,
    Problem,
    count_alike,
    decode,
    has_content,
    openai_error,
)
from agent_llmgateway.wire.usage import Usage

_NULL: Final = msgspec.Raw(b"null")


class CachedTokens(msgspec.Struct):
    """`prompt_tokens_details`."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class ChatUsage(msgspec.Struct):
    """`usage`, of whole answers and of a stream's last chunk."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: CachedTokens | None = None

    def read(self) -> Usage | None:
        """None when a count is missing."""
        if self.prompt_tokens is None:
            return None
        details = self.prompt_tokens_details or CachedTokens()
        return Usage(
            self.prompt_tokens,
            self.completion_tokens or 0,
            details.cached_tokens or 0,
            details.cache_write_tokens or 0,
        )


class _Delta(msgspec.Struct):
    content: msgspec.Raw = _NULL
    tool_calls: msgspec.Raw = _NULL
    function_call: msgspec.Raw = _NULL
    refusal: msgspec.Raw = _NULL
    reasoning_content: msgspec.Raw = _NULL
    reasoning: msgspec.Raw = _NULL
    audio: msgspec.Raw = _NULL

    def has_output(self) -> bool:
        return (
            has_content(self.content)
            or has_content(self.tool_calls)
            or has_content(self.reasoning_content)
            or has_content(self.reasoning)
            or has_content(self.refusal)
            or has_content(self.function_call)
            or has_content(self.audio)
        )


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    error: Any = None


class _Answer(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: ChatUsage | None = None
    error: Any = None


class _PlainChoice(msgspec.Struct):
    finish_reason: None = None


class _PlainChunk(msgspec.Struct):
    choices: Annotated[list[_PlainChoice], msgspec.Meta(min_length=1, max_length=1)]
    usage: None = None
    error: None = None


_PLAIN: Final = msgspec.json.Decoder(_PlainChunk)
_CHUNKS: Final = msgspec.json.Decoder(_Chunk)
_ANSWERS: Final = msgspec.json.Decoder(_Answer)
_DONE: Final = EventInfo(done=True)
_FINISH: Final = EventInfo(finish=True)


class Chat:
    """`POST /v1/chat/completions`."""

    name: DialectName = "chat"
    path = "/v1/chat/completions"
    family: Final = "openai"
    sentinel = b"data: [DONE]\n\n"

    def read_event(self, data: bytes) -> EventInfo:
        """See `Dialect`."""
        if data == b"[DONE]":
            return _DONE
        chunk = decode(_CHUNKS, data)
        if chunk.error is not None:
            return EventInfo(failure=read_event_failure(chunk.error, dialect=self.name))
        if chunk.choices is None and chunk.usage is None:
            return QUIET
        finish = output = False
        for choice in chunk.choices or ():
            finish = finish or bool(choice.finish_reason)
            output = output or (choice.delta is not None and choice.delta.has_output())
        if chunk.usage is not None:
            return EventInfo(output=output, finish=finish, usage=chunk.usage.read())
        if finish:
            return EventInfo(output=True, finish=True) if output else _FINISH
        return OUTPUT if output else QUIET

    def count_plain(self, events: bytes) -> int:
        """See `Dialect`. A chunk with a finish, usage or an error is not one that can be decoded here."""
        return count_alike(_PLAIN, b"data: ", events)

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = decode(_ANSWERS, body)
        if answer.error is not None:
            return AnswerFacts(failure=read_event_failure(answer.error, dialect=self.name, body=body))
        if not answer.choices:
            raise MalformedEventError("an answer without choices")
        usage = answer.usage.read() if answer.usage else None
        return AnswerFacts(answer.model or "", usage, None, answer.choices[0].finish_reason or "")

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode({"error": openai_error(problem)})

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`: the SDKs raise on an `error` in the data."""
        return b"data: " + self.error_body(problem) + b"\n\n"
