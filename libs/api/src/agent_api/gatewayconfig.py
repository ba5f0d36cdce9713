"""`gateway.json`: the model providers of one agent. Written by agent_render, hot-reloaded by agent-llmgateway."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator
from pydantic.alias_generators import to_camel

from agent_api.listprices import Price, listed, undated
from agent_api.model import Config
from agent_api.providers import PROVIDERS, ProviderType


class Timeouts(Config):
    """Limits of one call to a provider, in seconds."""

    connect: float = Field(default=5.0, gt=0, le=3600, description="To open the connection.")
    first_token: float = Field(default=30.0, gt=0, le=3600, description="While another route is left.")
    first_token_last: float = Field(
        default=120.0, gt=0, le=3600, description="On the last route. Default: `firstToken` where that is set."
    )
    idle: float = Field(default=60.0, gt=0, le=3600, description="Between two chunks of a stream.")
    total: float = Field(default=600.0, gt=0, le=86400, description="Of one try, up to its first output.")

    @model_validator(mode="before")
    @classmethod
    def _hold_on_the_last_route(cls, given: Any) -> Any:  # noqa: ANN401 - pydantic's protocol
        """Whoever sets `firstToken` means it on the last route too."""
        if not isinstance(given, dict) or {"firstTokenLast", "first_token_last"} & given.keys():
            return given
        first = given.get("firstToken", given.get("first_token"))
        return given if first is None else {**given, "firstTokenLast": first}

    @model_serializer(mode="wrap")
    def _write_what_is_set(self, write: SerializerFunctionWrapHandler) -> dict[str, float]:
        """A limit that nobody set stays open: the gateway knows models that need more than the default."""
        written: dict[str, float] = write(self)
        names = {name for field in self.model_fields_set for name in (field, to_camel(field))}
        return {name: value for name, value in written.items() if name in names}

    def with_defaults(self, defaults: "Timeouts") -> "Timeouts":
        """These limits, and `defaults` for those that nobody set."""
        return Timeouts(**(defaults.model_dump(by_alias=False) | self.model_dump(by_alias=False)))


class GatewayProvider(Config):
    """A provider. Its keys are the files of `credentials` that are called `api-key...`, re-read on change."""

    name: str
    type: ProviderType
    base_url: str = Field(default="", description="Empty: the public address of the type.")
    credentials: str | None = Field(default=None, description="Folder of its keys.")
    model: str | None = Field(default=None, description="Model for requests that fail over to this provider.")
    models: tuple[str, ...] = Field(default=(), description="Further models it serves.")
    timeouts: Timeouts = Timeouts()
    model_timeouts: dict[str, Timeouts] = Field(
        default_factory=dict, description="By model, instead of `timeouts`: reasoning models need more."
    )
    max_output_tokens: dict[str, int] = Field(
        default_factory=dict, description="By model, instead of what is known of it: a request for more gets this much."
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
    """What may be spent in a window of UTC, or in a run; None means no limit."""

    tokens_per_hour: int | None = Field(default=None, ge=1)
    tokens_per_day: int | None = Field(default=None, ge=1)
    tokens_per_month: int | None = Field(default=None, ge=1)
    tokens_per_run: int | None = Field(default=None, ge=1)
    usd_per_hour: float | None = Field(default=None, gt=0)
    usd_per_day: float | None = Field(default=None, gt=0)
    usd_per_month: float | None = Field(default=None, gt=0)
    usd_per_run: float | None = Field(default=None, gt=0)
    granted: bool = Field(
        default=False, description="true: an operator hands it out in slices, to all Pods of the agent together."
    )

    @property
    def counts_money(self) -> bool:
        """Whether a model needs a price."""
        return bool(self.usd_per_hour or self.usd_per_day or self.usd_per_month or self.usd_per_run)


def find_price(prices: Mapping[str, Price], provider: str, model: str) -> Price | None:
    """The price of a provider's model: by `provider/model`, by `model`, by that without its date, else by the list."""
    if prices:
        names = (f"{provider}/{model}", model, undated(model))
        own = next((prices[name] for name in names if name in prices), None)
        if own is not None:
            return own
    row = listed(model)
    return row.price if row else None


class GatewayMemory(Config):
    """The agent's Redis, of which the report tells. Nothing that is kept there is believed."""

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
    body_bytes: int = Field(default=25_165_824, ge=1024, le=1_073_741_824, description="Largest request.")
    answer_bytes: int = Field(
        default=25_165_824, ge=1024, le=1_073_741_824, description="Largest answer that is held: delivery complete."
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

    @cached_property
    def limits_money(self) -> bool:
        """Whether what may be spent is limited in money; asked for each request."""
        return self.budget.counts_money

    def unpriced(self) -> tuple[str, ...]:
        """Routes that a budget of money refuses, since nobody says what they cost: `provider/model`."""
        if not self.limits_money:
            return ()
        free = {provider.name for provider in self.providers if is_free(provider)}
        known = {(provider.name, model) for provider in self.providers for model in served_models(provider)}
        own = {provider.name: served_models(provider) for provider in self.providers}
        for alias in self.models:
            for route in alias.routes:
                models = (route.model,) if route.model else own.get(route.provider, ())[:1]
                known |= {(route.provider, model) for model in models}
        dear = [(provider, model) for provider, model in known if provider not in free]
        return tuple(sorted(f"{p}/{m}" for p, m in dear if find_price(self.prices, p, m) is None))

    def context_of(self, provider: str, model: str) -> int | None:
        """Tokens that a model reads, when that is known."""
        for name in (f"{provider}/{model}", model):
            if name in self.context_tokens:
                return self.context_tokens[name]
        row = listed(model)
        return row.context_tokens if row else None


def is_free(provider: GatewayProvider) -> bool:
    """Whether nobody is paid for the answers of `provider`: they come from a script in the gateway itself."""
    return PROVIDERS[provider.type].is_scripted and not provider.base_url


def served_models(provider: GatewayProvider) -> tuple[str, ...]:
    """The models that `provider` is known to serve; its own, for requests that fail over to it, is the first."""
    first = provider.model or (None if provider.models else PROVIDERS[provider.type].default_model)
    return tuple(dict.fromkeys((*((first,) if first else ()), *provider.models)))
