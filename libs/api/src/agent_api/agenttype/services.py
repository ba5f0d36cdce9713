"""`spec.llm`: the model providers behind llmgateway."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel, ListMap, Matches, OpenModel, Rule, cel_list
from agent_api.agenttype.scalars import DnsLabel, ObjectName, Url
from agent_api.providers import NEED_BASE_URL, NEED_KEY, PROVIDERS, ProviderType

ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class ProviderTimeouts(ApiModel):
    """Limits of one call to a provider, in seconds; the defaults are in docs/reference."""

    connect: Annotated[float, Field(gt=0, le=3600)] | None = Field(default=None, description="To open the connection.")
    first_token: Annotated[float, Field(gt=0, le=3600)] | None = Field(
        default=None, description="Until the first part of an answer, while another route is left."
    )
    first_token_last: Annotated[float, Field(gt=0, le=3600)] | None = Field(
        default=None, description="The same on the last route. Default: firstToken where that is set."
    )
    idle: Annotated[float, Field(gt=0, le=3600)] | None = Field(
        default=None, description="Between two parts of a stream."
    )
    total: Annotated[float, Field(gt=0, le=86400)] | None = Field(default=None, description="Of a whole call.")


class ModelSettings(ApiModel):
    """What is particular to one model of a provider."""

    model: ModelName = Field(description="The model, as the provider calls it.")
    timeouts: ProviderTimeouts | None = Field(default=None, description="Instead of the provider's, each by itself.")
    context_tokens: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="Context window: what was too long for a larger or equal one is not sent there."
    )
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = Field(
        default=None, description="Largest answer: a request for more is given this much."
    )


NoKey = Annotated[str, StringConstraints(max_length=256)] | None
_NO_KEY = "Refused: a key belongs into the Secret of credentialsSecret, as api-key."


class ProviderConfig(OpenModel):
    """Settings of a provider. Unknown keys are kept and named in a condition."""

    model: ModelName | None = Field(default=None, description="Model for requests that fail over to it.")
    models: Annotated[tuple[ModelName, ...], Field(max_length=64)] = Field(
        default=(), description="Further models it serves."
    )
    base_url: Annotated[Url, Matches(r"https?://[^\s@]+", "must be an http(s) address without credentials")] | None = (
        Field(default=None, description="Address of the API, such as https://host/v1.")
    )
    timeouts: ProviderTimeouts | None = None
    model_settings: Annotated[tuple[ModelSettings, ...], Field(max_length=64), ListMap("model")] = Field(
        default=(), description="What is particular to single models."
    )
    api_key: NoKey = Field(default=None, description=_NO_KEY)
    key: NoKey = Field(default=None, description=_NO_KEY)
    token: NoKey = Field(default=None, description=_NO_KEY)

    rules: ClassVar = (
        Rule(
            message="a key does not belong into config: put it into a Secret, as api-key, that credentialsSecret names",
            reason="Anyone who may read the AgentType, or the agent's ConfigMap, could read the key.",
            cel="!has(self.apiKey) && !has(self.key) && !has(self.token)",
            holds=lambda c: c.api_key is None and c.key is None and c.token is None,
        ),
    )


class Provider(ApiModel):
    """A model provider. Its key is mounted in llmgateway only."""

    name: DnsLabel = Field(description="Unique in the list; routes and the status refer to it.")
    type: ProviderType = Field(description="; ".join(f"{name}: {kind.about}" for name, kind in PROVIDERS.items()) + ".")
    credentials_secret: ObjectName | None = Field(
        default=None, description="Secret with the API key as api-key; with several, api-key-1, api-key-2 and so on."
    )
    config: ProviderConfig = ProviderConfig()

    @classmethod
    def unexamined(cls, raw: dict[str, Any]) -> frozenset[str]:
        """The settings of a scripted provider are its script: the gateway judges it, and `GatewayReady` says how."""
        kind = PROVIDERS.get(str(raw.get("type")))
        return frozenset({"config"}) if kind is not None and kind.is_scripted else frozenset()

    rules: ClassVar = (
        Rule(
            message="this provider needs credentialsSecret",
            reason="Every call would be refused by the provider.",
            cel=f"!(self.type in {cel_list(NEED_KEY)}) || has(self.credentialsSecret)",
            holds=lambda p: p.type not in NEED_KEY or p.credentials_secret is not None,
        ),
        Rule(
            message=f"a provider of type {' or '.join(NEED_BASE_URL)} needs config.baseUrl",
            reason="There is no public address to fall back on.",
            cel=f"!(self.type in {cel_list(NEED_BASE_URL)}) || (has(self.config) && has(self.config.baseUrl))",
            holds=lambda p: p.type not in NEED_BASE_URL or p.config.base_url is not None,
        ),
    )


class Route(ApiModel):
    """One provider and model that an alias leads to."""

    provider: DnsLabel = Field(description="Name of one of llm.providers.")
    model: ModelName | None = Field(default=None, description="Default: config.model of the provider.")


class ModelAlias(ApiModel):
    """A model name of the agent's own, with the routes to try in order."""

    name: ModelName = Field(description="The name that the agent asks for.")
    routes: Annotated[tuple[Route, ...], Field(min_length=1, max_length=8)] = Field(description="Tried in this order.")


Tokens = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
Dollars = Annotated[float, Field(gt=0, le=1_000_000)]


class Budget(ApiModel):
    """What the agent may spend, all of its Pods together; over it requests are answered with 429."""

    tokens_per_hour: Tokens | None = Field(
        default=None, description="Input and output together, in an hour of UTC. Default: no limit."
    )
    tokens_per_day: Tokens | None = Field(default=None, description="The same in a day of UTC. Default: no limit.")
    tokens_per_month: Tokens | None = Field(default=None, description="The same in a month of UTC. Default: no limit.")
    tokens_per_run: Tokens | None = Field(
        default=None, description="The same by all Pods of one Job together. Default: no limit."
    )
    usd_per_hour: Dollars | None = Field(
        default=None, description="By the price table, in an hour of UTC. Default: no limit."
    )
    usd_per_day: Dollars | None = Field(
        default=None, description="By the price table, in a day of UTC. Default: no limit."
    )
    usd_per_month: Dollars | None = Field(
        default=None, description="By the price table, in a month of UTC. Default: no limit."
    )
    usd_per_run: Dollars | None = Field(
        default=None, description="By the price table, by all Pods of one Job together. Default: no limit."
    )
    warn_at_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=80, description="Percent of a limit at which an event BudgetNearEnd says that it is nearly spent."
    )


class Llm(ApiModel):
    """Model providers behind llmgateway; their order is the failover order."""

    providers: Annotated[tuple[Provider, ...], Field(min_length=1, max_length=16), ListMap("name")] = Field(
        description="In the order of failover."
    )
    models: Annotated[tuple[ModelAlias, ...], Field(max_length=32), ListMap("name")] = Field(
        default=(), description="Model names of the agent's own, so that its code names no provider."
    )
    delivery: Literal["live", "complete"] = Field(
        default="live",
        description="live: stream at once. complete: whole answers only, so that they can fail over.",
    )
    budget: Budget | None = None

    rules: ClassVar = (
        Rule(
            message="a route names a provider that is not in llm.providers",
            reason="The alias would lead nowhere, and be noticed on its first use only.",
            cel="!has(self.models) || self.models.all(m, m.routes.all(r, "
            "self.providers.exists(p, p.name == r.provider)))",
            holds=lambda llm: {r.provider for m in llm.models for r in m.routes} <= {p.name for p in llm.providers},
            field="models",
        ),
    )
