"""Anthropic messages. A stream is complete with `message_stop`; errors are events of their own."""

from typing import Any, Final, Literal

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.providererrors.classify import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    QUIET,
    AnswerFacts,
    DialectName,
    EventInfo,
    Problem,
    decode_alike,
    read_count,
)
from agent_llmgateway.wire.lenient import is_empty, object_at, read_document, says_error, word_at
from agent_llmgateway.wire.textsize import size_of, size_of_text
from agent_llmgateway.wire.usage import read_message_output, read_message_usage

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


class _Plain(msgspec.Struct):
    type: Literal["content_block_delta"]


class _Delta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The texts of deltas; one with another field, such as a citation, is not measured here."""

    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    type: str = ""
    signature: str = ""


class _Measured(_Plain):
    delta: _Delta = _Delta()


_DELTA: Final = b"event: content_block_delta\ndata: "
_PLAIN: Final = msgspec.json.Decoder(_Plain)
_MEASURED: Final = msgspec.json.Decoder(_Measured)
_STOP: Final = EventInfo(finish=True, done=True)


class Messages:
    """`POST /v1/messages`."""

    name: DialectName = "messages"
    path = "/v1/messages"
    family: Final = "anthropic"
    sentinel = b""

    def read_event(self, data: bytes) -> EventInfo:
        """See `Dialect`. Usage comes in two events; `merge_usage` puts them together."""
        event = read_document(data)
        kind = event.get("type")
        if kind == "content_block_delta":
            return EventInfo(output=True, text_bytes=size_of(event.get("delta")))
        if kind == "message_stop":
            return _STOP
        if kind == "error" or says_error(event.get("error")):
            return EventInfo(failure=read_event_failure(event.get("error"), dialect=self.name))
        if kind == "message_start":
            message = object_at(event.get("message"), "message")
            return EventInfo(usage=read_message_usage(message.get("usage")))
        if kind == "content_block_start":
            block = object_at(event.get("content_block"), "content_block")
            return EventInfo(output=True, text_bytes=size_of(block)) if _has_output(block) else QUIET
        usage = read_message_output(event.get("usage"))
        return QUIET if usage is None else EventInfo(usage=usage)

    def count_plain(self, events: bytes) -> int:
        """See `Dialect`."""
        return len(decode_alike(_PLAIN, _DELTA, events))

    def measure_plain(self, events: bytes) -> tuple[int, int]:
        """See `Dialect`."""
        measured = decode_alike(_MEASURED, _DELTA, events)
        deltas = [event.delta for event in measured]
        made = "".join([delta.text or delta.thinking or delta.partial_json for delta in deltas])
        return len(deltas), size_of_text(made)

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = read_document(body)
        if says_error(answer.get("error")):
            return AnswerFacts(failure=read_event_failure(answer["error"], dialect=self.name, body=body))
        if not isinstance(answer.get("content"), list):
            raise MalformedEventError("`content` is not a list")
        model, reason = word_at(answer.get("model")), word_at(answer.get("stop_reason"))
        return AnswerFacts(model, read_message_usage(answer.get("usage")), None, reason)

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode(_error_document(problem))

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return b"event: error\ndata: " + self.error_body(problem) + b"\n\n"


class CountTokens(Messages):
    """`POST /v1/messages/count_tokens`: free of charge, so without usage."""

    name: DialectName = "count_tokens"
    path = "/v1/messages/count_tokens"

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        return read_count(self.name, body)


def _has_output(block: dict[str, Any]) -> bool:
    """Text and thoughts start empty; everything else is there from its start."""
    kind = block.get("type")
    return not is_empty(block.get(str(kind))) if kind in ("text", "thinking") else True


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
