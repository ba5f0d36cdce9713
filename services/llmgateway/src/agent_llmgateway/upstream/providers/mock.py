"""The scripted provider: speaks every dialect, from the gateway's own process unless it is given a base URL."""

from typing import Final

from agent_llmgateway.upstream.providers.base import MESSAGES_PATHS, OPENAI_PATHS, ProviderKind, show_bearer

MOCK: Final = ProviderKind(
    type="mock",
    base_url="",
    paths=lambda _: {**OPENAI_PATHS, **MESSAGES_PATHS},
    headers=show_bearer,
    needs_key=False,
    default_model="mock",
)
