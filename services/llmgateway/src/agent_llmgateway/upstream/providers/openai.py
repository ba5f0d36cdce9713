"""OpenAI itself."""

from typing import Final

from agent_llmgateway.upstream.providers.base import OPENAI_PATHS, ProviderKind, show_bearer

OPENAI: Final = ProviderKind(
    type="openai",
    base_url="https://api.openai.com/v1",
    paths=lambda _: OPENAI_PATHS,
    headers=show_bearer,
    needs_key=True,
)
