"""Provider types. One more is one module here and one line in `PROVIDERS`."""

from collections.abc import Mapping
from typing import Final

from agent_api.gatewayconfig import ProviderType
from agent_llmgateway.upstream.providers.anthropic import ANTHROPIC
from agent_llmgateway.upstream.providers.base import ProviderKind, join_url
from agent_llmgateway.upstream.providers.mock import MOCK
from agent_llmgateway.upstream.providers.openai import OPENAI
from agent_llmgateway.upstream.providers.openai_compatible import OPENAI_COMPATIBLE

PROVIDERS: Final[Mapping[ProviderType, ProviderKind]] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "openai-compatible": OPENAI_COMPATIBLE,
    "mock": MOCK,
}

__all__ = ["PROVIDERS", "ProviderKind", "join_url"]
