"""OpenAI responses. A stream is complete with `response.completed` or `response.incomplete`."""

from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.providererrors.classify import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    NOT_PLAIN,
    QUIET,
    AnswerFacts,
    DialectName,
    EventInfo,
    Problem,
    openai_error,
    read_count,
)
from agent_llmgateway.wire.lenient import object_at, read_document, says_error, word_at
from agent_llmgateway.wire.textsize import size_of, size_of_text, sound_size
from agent_llmgateway.wire.usage import read_response_usage


class _Plain(msgspec.Struct):
    type: str


class _Measured(_Plain):
    delta: str = ""


_decode_plain: Final = msgspec.json.Decoder(_Plain).decode
_decode_measured: Final = msgspec.json.Decoder(_Measured).decode
_SOUND_DELTA: Final = ("response.audio.delta", "response.output_audio.delta")
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
        if kind.endswith(_SOUND_DELTA):
            return EventInfo(output=True, text_bytes=sound_size(word_at(event.get("delta"))))
        if kind.endswith(".delta"):
            return EventInfo(output=True, text_bytes=size_of(event.get("delta")))
        if kind in _FINAL:
            response = object_at(event.get("response"), "response")
            return EventInfo(finish=True, done=True, usage=read_response_usage(response.get("usage")))
        if kind in {"response.failed", "error"} or says_error(event.get("error")):
            return EventInfo(failure=read_event_failure(_error_of(event), dialect=self.name))
        return QUIET

    def count_plain(self, events: bytes) -> int:
        """See `Dialect`."""
        blocks = events.removesuffix(b"\n\n").split(b"\n\n")
        return len(blocks) if all(map(_is_plain, blocks)) else 0

    def measure_plain(self, events: bytes) -> tuple[int, int]:
        """See `Dialect`."""
        texts = [_delta_of(block) for block in events.removesuffix(b"\n\n").split(b"\n\n")]
        return NOT_PLAIN if None in texts else (len(texts), size_of_text("".join(filter(None, texts))))

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = read_document(body)
        if says_error(answer.get("error")):
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


class InputTokens(Responses):
    """`POST /v1/responses/input_tokens`: free of charge, so without usage."""

    name: DialectName = "input_tokens"
    path = "/v1/responses/input_tokens"

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        return read_count(self.name, body)


def _error_of(event: dict[str, Any]) -> object:
    response = event.get("response")
    inner = response.get("error") if isinstance(response, dict) else None
    for error in (event.get("error"), inner):
        if says_error(error):
            return error
    return {"message": event.get("message") or "the response failed", "code": event.get("code")}


def _is_plain(block: bytes) -> bool:
    """Whether an event is nothing but output."""
    data = _data_of(block)
    try:
        return data is not None and _decode_plain(data).type.endswith(".delta")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _delta_of(block: bytes) -> str | None:
    """The text of an event that is nothing but output; None for another one."""
    data = _data_of(block)
    try:
        event = None if data is None else _decode_measured(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return event.delta if event is not None and event.type.endswith(".delta") else None


def _data_of(block: bytes) -> bytes | None:
    """Of an event that is called a delta."""
    if not block.startswith(b"event: response."):
        return None
    name, _, data = block[7:].partition(b"\ndata: ")
    return data if name.endswith(b".delta") else None
