"""OpenAI embeddings: one question, one answer, never a stream."""

from typing import Final

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
)
from agent_llmgateway.wire.lenient import read_document, says_error, word_at
from agent_llmgateway.wire.usage import read_chat_usage


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

    def measure_plain(self, events: bytes) -> tuple[int, int]:  # noqa: ARG002 - the protocol's
        """See `Dialect`."""
        return NOT_PLAIN

    def read_answer(self, body: bytes) -> AnswerFacts:
        """See `Dialect`."""
        answer = read_document(body)
        if says_error(answer.get("error")):
            return AnswerFacts(failure=read_event_failure(answer["error"], dialect=self.name, body=body))
        if not isinstance(answer.get("data"), list):
            raise MalformedEventError("`data` is not a list")
        return AnswerFacts(word_at(answer.get("model")), read_chat_usage(answer.get("usage")))

    def error_body(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return msgspec.json.encode({"error": openai_error(problem)})

    def error_event(self, problem: Problem) -> bytes:
        """See `Dialect`."""
        return b"data: " + self.error_body(problem) + b"\n\n"
