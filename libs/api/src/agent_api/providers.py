"""The provider types, once: the CRD, both judges of a manifest, the egress rules and the gateway read this table."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

Dialect = Literal["chat", "responses", "embeddings", "messages", "count_tokens", "input_tokens"]
KeyHeader = Literal["bearer", "x-api-key"]

_OPENAI: tuple[Dialect, ...] = ("chat", "responses", "embeddings", "input_tokens")
_ANTHROPIC: tuple[Dialect, ...] = ("messages", "count_tokens")


@dataclass(frozen=True, kw_only=True)
class ProviderKind:
    """What is known about one provider type.

    `address` is the public base URL of its API, empty when it has none. `dialects` are the APIs it speaks;
    those in `opt_in` only where the provider's `config` has `<dialect>: true`. `key_header` is how it wants to be
    shown a key. `is_scripted`: it answers from its `config`, whose fields the gateway judges.
    """

    about: str
    address: str = ""
    needs_key: bool = False
    needs_base_url: bool = False
    key_header: KeyHeader = "bearer"
    dialects: tuple[Dialect, ...] = _OPENAI
    opt_in: frozenset[Dialect] = frozenset()
    is_scripted: bool = False
    default_model: str | None = None


PROVIDERS: Mapping[str, ProviderKind] = MappingProxyType(
    {
        "openai": ProviderKind(about="OpenAI itself", address="https://api.openai.com/v1", needs_key=True),
        "anthropic": ProviderKind(
            about="Anthropic",
            address="https://api.anthropic.com/v1",
            needs_key=True,
            key_header="x-api-key",
            dialects=_ANTHROPIC,
        ),
        "openai-compatible": ProviderKind(
            about="any server that speaks chat completions: vLLM, Ollama, Azure's v1 API",
            needs_base_url=True,
            opt_in=frozenset({"responses", "input_tokens"}),
        ),
        "mock": ProviderKind(
            about="scripted answers and faults, for offline work and tests",
            dialects=(*_OPENAI, *_ANTHROPIC),
            is_scripted=True,
            default_model="mock",
        ),
    }
)
"""By the name that a manifest has in `type`."""

NEED_KEY = tuple(name for name, kind in PROVIDERS.items() if kind.needs_key)
NEED_BASE_URL = tuple(name for name, kind in PROVIDERS.items() if kind.needs_base_url)


class _OneOfTable:
    """A string that names a row of the table; in JSON Schema an enum."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's protocol
        del source, handler
        return core_schema.literal_schema(list(PROVIDERS))


ProviderType = Annotated[str, _OneOfTable()]
