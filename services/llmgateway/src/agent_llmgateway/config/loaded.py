"""gateway.json, read and checked: what pydantic cannot see is looked at here, so that a bad file is refused whole."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from agent_api.gatewayconfig import GatewayConfig, GatewayProvider
from agent_api.providers import PROVIDERS
from agent_llmgateway.errors import ConfigError
from agent_llmgateway.mock.script import parse_script

KEY_HEADERS: Final = frozenset({"authorization", "x-api-key", "api-key"})


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration that can be used. `digest` is the sha256 of the file."""

    config: GatewayConfig
    digest: str


def parse_config(content: bytes) -> LoadedConfig:
    """Raises ValueError (pydantic's, or ConfigError) that says which field and what is wrong with it."""
    config = GatewayConfig.model_validate_json(content)
    names = [provider.name for provider in config.providers]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(f"providers.{index}.name: two providers are called {name!r}")
    for index, provider in enumerate(config.providers):
        _check_provider(index, provider)
    _check_aliases(config, set(names))
    return LoadedConfig(config, hashlib.sha256(content).hexdigest())


def _check_provider(index: int, provider: GatewayProvider) -> None:
    where = f"providers.{index} ({provider.name})"
    if provider.base_url:
        address = urlsplit(provider.base_url)
        if address.scheme not in ("http", "https") or not address.hostname or "@" in address.netloc:
            raise ConfigError(f"{where}: baseUrl must be an http(s) address without credentials")
    elif PROVIDERS[provider.type].needs_base_url:
        raise ConfigError(f"{where}: a provider of type {provider.type} needs baseUrl")
    if provider.credentials is not None and not Path(provider.credentials).is_absolute():
        raise ConfigError(f"{where}: credentials must be an absolute path of a folder")
    headers = provider.options.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise ConfigError(f"{where}: options.headers must be a map of text to text")
    for name in headers:
        if name.lower() in KEY_HEADERS:
            raise ConfigError(f"{where}: options.headers must not show a key in {name}: use credentials")
    keys = provider.options.get("keys", [])
    if not isinstance(keys, list) or not all(isinstance(name, str) for name in keys):
        raise ConfigError(f"{where}: options.keys must be a list of names of files")
    if PROVIDERS[provider.type].is_scripted:
        parse_script(provider.options, where=f"{where}: options")


def _check_aliases(config: GatewayConfig, names: set[str]) -> None:
    seen: set[str] = set()
    for index, alias in enumerate(config.models):
        if alias.name in seen:
            raise ConfigError(f"models.{index}.name: two aliases are called {alias.name!r}")
        seen.add(alias.name)
        for route in alias.routes:
            if route.provider not in names:
                raise ConfigError(f"models.{index} ({alias.name}): no provider is called {route.provider!r}")
