"""What the platform decides of model gateways: limits of their traffic, and what it knows of models.

A model is named as `prices` names it: by itself, or as `provider/model` for the provider of that name alone. What an
AgentType says of a provider or of a model goes before it, each setting by itself.
"""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from agent_api.agenttype.services import ProviderTimeouts
from agent_api.gatewayconfig import GatewayLimits
from agent_api.model import Config

ModelKey = Annotated[str, StringConstraints(min_length=1, max_length=192)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000_000)]


class LlmTimeouts(ProviderTimeouts):
    """As in an AgentType; a settings document is held to its fields."""

    model_config = ConfigDict(extra="forbid")


class PlatformModel(Config):
    """What is particular to one model, for all agents."""

    context_tokens: Tokens | None = Field(
        default=None, description="Context window; None: as the release's table says."
    )
    max_output_tokens: Tokens | None = Field(
        default=None, description="Largest answer: a request for more is given this much."
    )
    timeouts: LlmTimeouts = Field(default=LlmTimeouts(), description="Instead of those of `llm.timeouts`.")


class LlmSettings(Config):
    """Of every agent's model gateway."""

    timeouts: LlmTimeouts = Field(default=LlmTimeouts(), description="Of providers; None: the gateway's own default.")
    models: Annotated[dict[ModelKey, PlatformModel], Field(max_length=64)] = Field(
        default_factory=dict, description="By model, or provider/model."
    )
    limits: GatewayLimits = GatewayLimits()
    route_content_filter: bool = Field(
        default=False, description="true: an answer refused by a provider's content filter goes to the next route."
    )

    def of_model(self, provider: str, model: str) -> tuple[PlatformModel, ...]:
        """What is said of a provider's model, the most particular last."""
        return tuple(self.models[name] for name in (model, f"{provider}/{model}") if name in self.models)

    def models_of(self, provider: str, providers: frozenset[str]) -> tuple[str, ...]:
        """The models that something is said of, as `provider` calls them; `providers` has every provider's name."""
        own = f"{provider}/"
        others = tuple(f"{name}/" for name in providers if name != provider)
        return tuple(
            dict.fromkeys(name.removeprefix(own) for name in self.models if not name.startswith(others))
        )  # fmt: skip
