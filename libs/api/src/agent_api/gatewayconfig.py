"""`gateway.json`: the model providers of one agent. Written by agent_render, hot-reloaded by agent-llmgateway."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import Field

from agent_api.model import Config
from agent_api.providers import ProviderType


class Timeouts(Config):
    """Limits of one call to a provider, in seconds."""

    connect: float = Field(default=5.0, gt=0, le=3600, description="To open the connection.")
    first_token: float = Field(default=12.0, gt=0, le=3600, description="While another route is left.")
    first_token_last: float = Field(default=120.0, gt=0, le=3600, description="On the last route.")
    idle: float = Field(default=30.0, gt=0, le=3600, description="Between two chunks of a stream.")
    total: float = Field(default=600.0, gt=0, le=86400, description="Of one try, up to its first output.")


class GatewayProvider(Config):
    """A provider. Its keys are the files of `credentials`, one key each, re-read on change."""

    name: str
    type: ProviderType
    base_url: str = Field(default="", description="Empty: the public address of the type.")
    credentials: str | None = Field(default=None, description="Folder; each file without a leading dot is one key.")
    model: str | None = Field(default=None, description="Model for requests that fail over to this provider.")
    models: tuple[str, ...] = Field(default=(), description="Further models it serves.")
    timeouts: Timeouts = Timeouts()
    model_timeouts: dict[str, Timeouts] = Field(
        default_factory=dict, description="By model, instead of `timeouts`: reasoning models need more."
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="The provider's other settings, such as the script of a mock."
    )


class GatewayRoute(Config):
    """One provider and model to try; `model` None means the provider's own."""

    provider: str
    model: str | None = None


class GatewayAlias(Config):
    """A model name that leads to routes, tried in order."""

    name: str
    routes: tuple[GatewayRoute, ...] = Field(min_length=1)


class GatewayBudget(Config):
    """What may be spent in a window; None means no limit."""

    tokens_per_hour: int | None = Field(default=None, ge=1)
    usd_per_day: float | None = Field(default=None, gt=0)


class Price(Config):
    """Price of a model, in US dollars per million tokens."""

    input_usd: float = Field(ge=0)
    output_usd: float = Field(ge=0)
    cached_input_usd: float | None = Field(default=None, ge=0, description="None: as input.")
    cache_write_usd: float | None = Field(
        default=None, ge=0, description="Input written to the provider's prompt cache; None: as input."
    )
    long_cache_write_usd: float | None = Field(
        default=None, ge=0, description="The same, kept for an hour; None: as other writes."
    )
    reasoning_usd: float | None = Field(default=None, ge=0, description="None: as output.")
    premium_factor: float = Field(
        default=2.0, ge=1, le=100, description="Of a request for a faster service (`priority`, `fast`)."
    )

    def cost_micro_usd(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_tokens: int = 0,
        cache_write_tokens: int = 0,
        long_cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> float:
        """What one call costs, in millionths of a dollar.

        Cached and written tokens are a part of the input, those written for long of those written, reasoning of the
        output.
        """
        read_usd = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        write_usd = self.input_usd if self.cache_write_usd is None else self.cache_write_usd
        long_usd = write_usd if self.long_cache_write_usd is None else self.long_cache_write_usd
        thought_usd = self.output_usd if self.reasoning_usd is None else self.reasoning_usd
        return (
            (input_tokens - cached_tokens - cache_write_tokens) * self.input_usd
            + cached_tokens * read_usd
            + (cache_write_tokens - long_cache_write_tokens) * write_usd
            + long_cache_write_tokens * long_usd
            + (output_tokens - reasoning_tokens) * self.output_usd
            + reasoning_tokens * thought_usd
        )


_SNAPSHOT: Final = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|latest)$")


def find_price(prices: Mapping[str, Price], provider: str, model: str) -> Price | None:
    """The price of a provider's model: by `provider/model`, else by `model`, else by the model without its date."""
    names = (f"{provider}/{model}", model, _SNAPSHOT.sub("", model))
    return next((prices[name] for name in names if name in prices), None)


class GatewayMemory(Config):
    """The agent's Redis, where budgets are shared over replicas."""

    url: str
    credentials: str | None = Field(default=None, description="Folder with `password` and perhaps `username`.")


class GatewayLimits(Config):
    """Bounds of failover, breaker and traffic."""

    tries_per_provider: int = Field(default=3, ge=1, le=10, description="Of one request.")
    tries_per_request: int = Field(default=6, ge=1, le=32, description="Over all providers.")
    deadline_seconds: float = Field(default=600, gt=0, le=86_400, description="Over all tries of a request.")
    retry_ratio: float = Field(default=0.2, ge=0, le=1, description="Retries as a share of requests in an outage.")
    backoff_seconds: float = Field(default=0.5, ge=0, le=60, description="Pause before a second try; doubles.")
    backoff_max_seconds: float = Field(default=8, ge=0, le=600, description="Longest pause.")
    breaker_failures: int = Field(default=5, ge=1, le=1000, description="Consecutive failures that open it.")
    breaker_open_seconds: float = Field(default=15, gt=0, le=3600, description="Until one try is let through.")
    hold_back_chunks: int = Field(default=64, ge=1, le=4096, description="Of a stream, before its first output.")
    hold_back_bytes: int = Field(
        default=262_144, ge=1024, le=16_777_216, description="Of a stream, before its first output."
    )
    body_bytes: int = Field(default=67_108_864, ge=1024, le=1_073_741_824, description="Largest request.")
    answer_bytes: int = Field(
        default=67_108_864, ge=1024, le=1_073_741_824, description="Largest answer that is held: delivery complete."
    )
    drain_seconds: float = Field(default=25, ge=0, le=3600, description="For streams to finish after SIGTERM.")


class GatewayConfig(Config):
    """Everything llmgateway needs to know; the order of providers is the failover order."""

    schema_version: Literal[1] = 1
    agent: str
    namespace: str = ""
    providers: tuple[GatewayProvider, ...] = Field(min_length=1)
    models: tuple[GatewayAlias, ...] = ()
    delivery: Literal["live", "complete"] = "live"
    route_content_filter: bool = Field(
        default=False, description="true: an answer refused by a provider's content filter goes to the next route."
    )
    budget: GatewayBudget = GatewayBudget()
    prices: dict[str, Price] = Field(default_factory=dict, description="By model, or by provider/model.")
    context_tokens: dict[str, int] = Field(
        default_factory=dict,
        description="Context window by model, or by provider/model: a request that is too long for one route "
        "is not sent to a route that is known to be no larger.",
    )
    memory: GatewayMemory | None = None
    capture_content: bool = Field(
        default=False, description="true: prompts and answers are put into spans and recorded calls."
    )
    limits: GatewayLimits = GatewayLimits()
