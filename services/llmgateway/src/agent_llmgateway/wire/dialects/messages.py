"""Anthropic messages. A stream is complete with `message_stop`; errors are events of their own."""

from typing import Any, Final, Literal

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
)
from agent_llmgateway.wire.usage import Usage

_STATUS_KIND: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SILENT_BLOCKS: Final = frozenset({"text", "thinking"})  # they start empty


class MessageUsage(msgspec.Struct):
    """`usage` of a message, of `message_start` and of `message_delta`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    def read(self) -> Usage | None:
        """None without `input_tokens`. Anthropic counts cached input apart; `Usage` counts it in."""
        if self.input_tokens is None:
            return None
        cached, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        return Usage(self.input_tokens + cached + written, self.output_tokens or 0, cached, written)


class _Block(msgspec.Struct):
    type: str = ""


class _Message(msgspec.Struct):
    type: str = ""
    model: str | None = None
    stop_reason: str | None = None
    usage: MessageUsage | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    message: _Message | None = None
    content_block: _Block | None = None
    usage: MessageUsage | None = None
    error: Any = None


class _Plain(msgspec.Struct):
    type: Literal["content_block_delta"]


_DELTA: Final = b"event: content_block_delta\ndata: "
_PLAIN: Final = msgspec.json.Decoder(_Plain)
_EVENTS: Final = msgspec.json.Decoder(_Event)
_ANSWERS: Final = msgspec.json.Decoder(_Message)
_STOP: Final = EventInfo(finish=True, done=True)


class Messages:
    """`POST /v1/messages`."""

    name: DialectName = "messages"
    path = "/v1/messages"
    family: Final = "anthropic"
    sentinel = b""

    def read_event(self, data: bytes) -> EventInfo:
        """See `Dialect`. Usage comes in two events; `merge_usage` puts them together."""
        event = decode(_EVENTS, data)
        kind = event.type
        if kind == "content_block_delta":
            return OUTPUT
        if kind == "message_stop":
            return _STOP
        if kind == "error" or event.error is not None:
            return EventInfo(failure=read_event_failure(event.error, dialect=self.name))
        if kind == "message_start" or event.usage is not None:
            return EventInfo(usage=_usage_of(event))
        if kind == "content_block_start" and event.content_block and event.content_block.type not in _SILENT_BLOCKS:
            return OUTPUT
        return QUIET

    def count_plain(self, events: bytes) -> int:
        """See `Dialect`."""
        return count_alike(_PLAIN, _DELTA, events)

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = decode(_ANSWERS, body)
        if answer.error is not None:
            return AnswerFacts(failure=read_event_failure(answer.error, dialect=self.name, body=body))
        if answer.type != "message":
            raise MalformedEventError("an answer that is no message")
        usage = answer.usage.read() if answer.usage else None
        return AnswerFacts(answer.model or "", usage, None, answer.stop_reason or "")

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode(_error_document(problem))

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return b"event: error\ndata: " + self.error_body(problem) + b"\n\n"


class _Count(msgspec.Struct):
    input_tokens: int
    error: Any = None


_COUNTS: Final = msgspec.json.Decoder(_Count)


class CountTokens(Messages):
    """`POST /v1/messages/count_tokens`: free of charge, so without usage."""

    name: DialectName = "count_tokens"
    path = "/v1/messages/count_tokens"

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        decode(_COUNTS, body)
        return AnswerFacts()


def merge_usage(before: Usage | None, new: Usage | None) -> Usage | None:
    """Usage of a stream so far: counts only grow, and a later event may leave some out."""
    if before is None or new is None:
        return new or before
    return Usage(
        max(before.input_tokens, new.input_tokens),
        max(before.output_tokens, new.output_tokens),
        max(before.cached_tokens, new.cached_tokens),
        max(before.cache_write_tokens, new.cache_write_tokens),
    )


def _usage_of(event: _Event) -> Usage | None:
    if event.message is not None:
        return event.message.usage.read() if event.message.usage else None
    return None if event.usage is None else event.usage.read() or Usage(0, event.usage.output_tokens or 0)


def _error_document(problem: Problem) -> dict[str, Any]:
    kind = problem.kind
    if kind == "invalid_request_error" or kind not in _OWN_KINDS:
        kind = _STATUS_KIND.get(problem.status, "api_error")
    error: dict[str, Any] = {"type": kind, "message": problem.message}
    if problem.code is not None:
        error["code"] = problem.code
    if problem.param is not None:
        error["param"] = problem.param
    if problem.attempts:
        error["attempts"] = list(problem.attempts)
    return {"type": "error", "error": error}


_OWN_KINDS: Final = frozenset(_STATUS_KIND.values()) | {"api_error", "budget_exceeded"}
