"""How the gateway speaks to each provider type: the paths of its APIs and the headers that show a key.

What a type is stands in `agent_api.providers`; one with a new dialect or a new way to show a key adds it here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from agent_api.providers import PROVIDERS, Dialect, KeyHeader

Headers = Mapping[str, str]

ANTHROPIC_VERSION: Final = "2023-06-01"

PATHS: Final[Mapping[Dialect, str]] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "embeddings": "/embeddings",
    "messages": "/messages",
    "count_tokens": "/messages/count_tokens",
    "input_tokens": "/responses/input_tokens",
}
"""Below the base URL, which ends with the API's version."""

_KEY_HEADERS: Final[Mapping[KeyHeader, Callable[[str], Headers]]] = {
    "bearer": lambda key: {"Authorization": f"Bearer {key}"},
    "x-api-key": lambda key: {"x-api-key": key},
}


def paths_of(provider_type: str, options: Mapping[str, Any]) -> Mapping[Dialect, str]:
    """The dialects that a provider speaks, with their paths."""
    kind = PROVIDERS[provider_type]
    return {name: PATHS[name] for name in kind.dialects if name not in kind.opt_in or options.get(name) is True}


def key_headers(provider_type: str, key: str | None) -> Headers:
    """Headers that show `key`; none without one."""
    return _KEY_HEADERS[PROVIDERS[provider_type].key_header](key) if key else {}


def join_url(base_url: str, path: str) -> str:
    """`path` below `base_url`, whether or not that ends with a slash."""
    return base_url.rstrip("/") + path
