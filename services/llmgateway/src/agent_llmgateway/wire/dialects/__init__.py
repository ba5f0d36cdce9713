"""The APIs that clients speak to the gateway, and it to providers."""

from collections.abc import Mapping
from typing import Final

from agent_llmgateway.wire.dialects.base import (
    AnswerFacts,
    Dialect,
    DialectName,
    EventInfo,
    Problem,
)
from agent_llmgateway.wire.dialects.chat import Chat
from agent_llmgateway.wire.dialects.embeddings import Embeddings
from agent_llmgateway.wire.dialects.messages import CountTokens, Messages
from agent_llmgateway.wire.dialects.responses import InputTokens, Responses

DIALECTS: Final[Mapping[DialectName, Dialect]] = {
    "chat": Chat(),
    "responses": Responses(),
    "embeddings": Embeddings(),
    "messages": Messages(),
    "count_tokens": CountTokens(),
    "input_tokens": InputTokens(),
}

__all__ = ["DIALECTS", "AnswerFacts", "Dialect", "DialectName", "EventInfo", "Problem"]
