"""OpenAI responses. A stream is complete with `response.completed` or `response.incomplete`."""

from typing import Any, Final

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
    decode,
    openai_error,
)
from agent_llmgateway.wire.usage import Usage


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Details | None = None

    def read(self) -> Usage | None:
        if self.input_tokens is None:
            return None
        details = self.input_tokens_details or _Details()
        return Usage(
            self.input_tokens, self.output_tokens or 0, details.cached_tokens or 0, details.cache_write_tokens or 0
        )


class _Response(msgspec.Struct):
    object: str | None = None
    model: str | None = None
    status: str | None = None
    usage: _Usage | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    response: _Response | None = None
    error: Any = None
    message: str | None = None
    code: str | None = None


class _Plain(msgspec.Struct):
    type: str


_decode_plain: Final = msgspec.json.Decoder(_Plain).decode
_EVENTS: Final = msgspec.json.Decoder(_Event)
_ANSWERS: Final = msgspec.json.Decoder(_Response)
_FINAL: Final = frozenset({"response.completed", "response.incomplete"})


class Responses:
    """`POST /v1/responses`."""

    name: DialectName = "responses"
    path = "/v1/responses"
    family: Final = "openai"
    sentinel = b""

    def read_event(self, data: bytes) -> EventInfo:
        """See `Dialect`."""
        if data == b"[DONE]":
            return EventInfo(done=True)
        event = decode(_EVENTS, data)
        if event.type.endswith(".delta"):
            return OUTPUT
        if event.type in _FINAL:
            usage = event.response.usage.read() if event.response and event.response.usage else None
            return EventInfo(finish=True, done=True, usage=usage)
        if event.type in {"response.failed", "error"} or event.error is not None:
            return EventInfo(failure=read_event_failure(_error_of(event), dialect=self.name))
        return QUIET

    def count_plain(self, events: bytes) -> int:
        """See `Dialect`."""
        blocks = events.removesuffix(b"\n\n").split(b"\n\n")
        return len(blocks) if all(map(_is_plain, blocks)) else 0

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = decode(_ANSWERS, body)
        if answer.error is not None:
            return AnswerFacts(failure=read_event_failure(answer.error, dialect=self.name, body=body))
        if answer.object != "response":
            raise MalformedEventError("an answer that is no response")
        usage = answer.usage.read() if answer.usage else None
        return AnswerFacts(answer.model or "", usage, None, answer.status or "")

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode({"error": openai_error(problem)})

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`: the API's own error event, with the `error` that the SDK raises on."""
        event = {
            "type": "error",
            "code": problem.code or problem.kind,
            "message": problem.message,
            "param": problem.param,
            "sequence_number": 0,
            "error": openai_error(problem),
        }
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def _error_of(event: _Event) -> object:
    if event.error is not None:
        return event.error
    if event.response is not None and event.response.error is not None:
        return event.response.error
    return {"message": event.message or "the response failed", "code": event.code}


def _is_plain(block: bytes) -> bool:
    if not block.startswith(b"event: response."):
        return False
    name, _, data = block[7:].partition(b"\ndata: ")
    try:
        return name.endswith(b".delta") and _decode_plain(data).type.endswith(".delta")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
