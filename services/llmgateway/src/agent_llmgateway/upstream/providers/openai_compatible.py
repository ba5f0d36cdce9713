"""Whatever speaks chat completions: vLLM, Ollama, Azure's v1 API. Responses only where `options.responses` says so."""

from collections.abc import Mapping
from typing import Final

from agent_llmgateway.upstream.providers.base import OPENAI_PATHS, Options, ProviderKind, show_bearer
from agent_llmgateway.wire.dialects import DialectName


def _paths(options: Options) -> Mapping[DialectName, str]:
    if options.get("responses") is True:
        return OPENAI_PATHS
    return {name: path for name, path in OPENAI_PATHS.items() if name != "responses"}


OPENAI_COMPATIBLE: Final = ProviderKind(
    type="openai-compatible", base_url="", paths=_paths, headers=show_bearer, needs_key=False
)
