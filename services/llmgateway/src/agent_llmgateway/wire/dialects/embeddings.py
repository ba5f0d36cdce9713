"""OpenAI embeddings: one question, one answer, never a stream."""

from typing import Any, Final

import msgspec

from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.failures.failure import read_event_failure
from agent_llmgateway.wire.dialects.base import (
    QUIET,
    AnswerFacts,
    DialectName,
    EventInfo,
    Problem,
    decode,
    openai_error,
)
from agent_llmgateway.wire.dialects.chat import ChatUsage


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw] | None = None
    model: str | None = None
    usage: ChatUsage | None = None
    error: Any = None


_ANSWERS: Final = msgspec.json.Decoder(_Answer)


class Embeddings:
    """`POST /v1/embeddings`."""

    name: DialectName = "embeddings"
    path = "/v1/embeddings"
    family: Final = "openai"
    sentinel = b""

    def read_event(self, data: bytes) -> EventInfo:  # noqa: ARG002 - the protocol's
        """See `Dialect`."""
        return QUIET

    def count_plain(self, events: bytes) -> int:  # noqa: ARG002 - the protocol's
        """See `Dialect`."""
        return 0

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = decode(_ANSWERS, body)
        if answer.error is not None:
            return AnswerFacts(failure=read_event_failure(answer.error, dialect=self.name, body=body))
        if answer.data is None:
            raise MalformedEventError("an answer without data")
        return AnswerFacts(answer.model or "", answer.usage.read() if answer.usage else None)

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode({"error": openai_error(problem)})

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return b"data: " + self.error_body(problem) + b"\n\n"
