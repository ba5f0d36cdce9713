"""Anthropic. The base URL may end with /v1 or, as the SDK has it, before."""

from collections.abc import Mapping
from typing import Final

from agent_llmgateway.upstream.providers.base import MESSAGES_PATHS, ProviderKind

VERSION: Final = "2023-06-01"


def _show_key(key: str | None) -> Mapping[str, str]:
    return {"x-api-key": key} if key else {}


ANTHROPIC: Final = ProviderKind(
    type="anthropic",
    base_url="https://api.anthropic.com/v1",
    paths=lambda _: MESSAGES_PATHS,
    headers=_show_key,
    needs_key=True,
)
