"""OpenAI responses. A stream is complete with `response.completed` or `response.incomplete`."""

from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.failures.failure import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    NOT_PLAIN,
    QUIET,
    AnswerFacts,
    DialectName,
    EventInfo,
    PlainCount,
    Problem,
    openai_error,
)
from agent_llmgateway.wire.lenient import is_empty, object_at, read_document, word_at
from agent_llmgateway.wire.textsize import size_of, size_of_text
from agent_llmgateway.wire.usage import read_response_usage


class _Plain(msgspec.Struct):
    type: str
    delta: str = ""


_decode_plain: Final = msgspec.json.Decoder(_Plain).decode
_FINAL: Final = frozenset({"response.completed", "response.incomplete"})


class Responses:
    """`POST /v1/responses`."""

    name: DialectName = "responses"
    path = "/v1/responses"
    family: Final = "openai"
    sentinel = b""

    def read_event(self, data: bytes) -> EventInfo:
        """See `Dialect`."""
        if data.strip() == b"[DONE]":
            return EventInfo(done=True)
        event = read_document(data)
        kind = word_at(event.get("type"))
        if kind.endswith(".delta"):
            return EventInfo(output=True, text_bytes=size_of(event.get("delta")))
        if kind in _FINAL:
            response = object_at(event.get("response"), "response")
            return EventInfo(finish=True, done=True, usage=read_response_usage(response.get("usage")))
        if kind in {"response.failed", "error"} or not is_empty(event.get("error")):
            return EventInfo(failure=read_event_failure(_error_of(event), dialect=self.name))
        return QUIET

    def count_plain(self, events: bytes) -> PlainCount:
        """See `Dialect`."""
        sizes = [_plain_bytes(block) for block in events.removesuffix(b"\n\n").split(b"\n\n")]
        return PlainCount(len(sizes), sum(sizes)) if min(sizes) >= 0 else NOT_PLAIN

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = read_document(body)
        if not is_empty(answer.get("error")):
            return AnswerFacts(failure=read_event_failure(answer["error"], dialect=self.name, body=body))
        if not isinstance(answer.get("output"), list):
            raise MalformedEventError("`output` is not a list")
        model, status = word_at(answer.get("model")), word_at(answer.get("status"))
        return AnswerFacts(model, read_response_usage(answer.get("usage")), None, status)

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


def _error_of(event: dict[str, Any]) -> object:
    response = event.get("response")
    inner = response.get("error") if isinstance(response, dict) else None
    for error in (event.get("error"), inner):
        if not is_empty(error):
            return error
    return {"message": event.get("message") or "the response failed", "code": event.get("code")}


def _plain_bytes(block: bytes) -> int:
    """Bytes of text in an event that is nothing but output; -1 for another one."""
    if not block.startswith(b"event: response."):
        return -1
    name, _, data = block[7:].partition(b"\ndata: ")
    if not name.endswith(b".delta"):
        return -1
    try:
        event = _decode_plain(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return -1
    return size_of_text(event.delta) if event.type.endswith(".delta") else -1
