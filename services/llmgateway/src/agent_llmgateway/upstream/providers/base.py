"""What a provider type is to the gateway: where its APIs are and how a key is shown there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_api.gatewayconfig import ProviderType
from agent_llmgateway.wire.dialects import DialectName

Options = Mapping[str, Any]
OPENAI_PATHS: Mapping[DialectName, str] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
}
MESSAGES_PATHS: Mapping[DialectName, str] = {"messages": "/messages", "count_tokens": "/messages/count_tokens"}


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One provider type."""

    type: ProviderType
    base_url: str
    """The public address; empty when it has to be configured."""
    paths: Callable[[Options], Mapping[DialectName, str]]
    """The dialects it speaks, with their paths below the base URL."""
    headers: Callable[[str | None], Mapping[str, str]]
    """Headers that show the key."""
    needs_key: bool
    default_model: str | None = None


def show_bearer(key: str | None) -> Mapping[str, str]:
    """OpenAI's way."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def join_url(base_url: str, path: str) -> str:
    """`path` below `base_url`, whether or not that ends with a slash."""
    return base_url.rstrip("/") + path
