"""The providers of one configuration at work: their addresses, their keys, and the mock servers among them.

A provider_set is never changed. A new configuration is a new provider_set; a request keeps the one that it began with.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from yarl import URL

from agent_api.gatewayconfig import GatewayBudget, GatewayProvider, Timeouts
from agent_api.layout import relocate
from agent_api.providers import PROVIDERS
from agent_llmgateway.config.loaded import LoadedConfig
from agent_llmgateway.failover.dependencies import RoutePlan
from agent_llmgateway.failover.routing import Route, find_routes
from agent_llmgateway.mock.script import parse_script
from agent_llmgateway.mock.server import MockServer
from agent_llmgateway.providererrors.lessons import NO_OPTIONS, Options
from agent_llmgateway.upstream.keys import Key, KeyPool, open_pool
from agent_llmgateway.upstream.providers import join_url, key_headers, paths_of
from agent_llmgateway.wire.dialects import DialectName
from agent_llmgateway.wire.models import ModelFacts, facts_of

FIRST_KEYS_S: Final = 2.0
"""How long a new provider_set waits for its keys before it is used without them."""

REASONING_TIMEOUTS: Final = Timeouts(first_token=120, first_token_last=300, idle=300)
"""For models that think before their first word, and between two."""
MOST_KEYS: Final = 32
MOST_TAUGHT: Final = 256
"""Models of a provider whose refusals are remembered; an agent can name any."""
MOST_PLANS: Final = 1024
"""Names of models whose routes are remembered."""


@dataclass(slots=True)
class Provider:
    """A provider that can be asked. `paths` has the dialects it speaks."""

    config: GatewayProvider
    base_url: str
    paths: Mapping[DialectName, str]
    keys: KeyPool
    urls: dict[DialectName, URL] = field(default_factory=dict)
    shown: dict[str, dict[str, str]] = field(default_factory=dict)
    taught: dict[str, Options] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.config.name

    def streams_whole(self, model: str) -> bool:
        """Whether whole answers of `model` are asked for as streams: unless `streamWhole: false` is in its config."""
        return self.options_for(model).get("streamWhole") is not False

    def learn(self, model: str, options: Options) -> None:
        """Use `options` for `model`: its refusal has said so. Forgotten with this configuration."""
        if model not in self.taught and len(self.taught) >= MOST_TAUGHT:
            self.taught.clear()
        self.taught[model] = {**self.taught.get(model, NO_OPTIONS), **options}

    def key_headers(self, key: Key) -> dict[str, str]:
        """Headers that show `key`, and those that the configuration adds."""
        headers = self.shown.get(key.mark)
        if headers is None:
            headers = {**self.config.options.get("headers", {}), **key_headers(self.config.type, key.value)}
            self.shown = {key.mark: headers} if len(self.shown) >= MOST_KEYS else {**self.shown, key.mark: headers}
        return headers

    def url(self, dialect: DialectName, query: str) -> URL:
        """Where requests of `dialect` go. The address of a mock is known only once it runs."""
        if not query and dialect in self.urls:
            return self.urls[dialect]
        base_url = self.base_url
        if self.config.type == "anthropic" and not base_url.rstrip("/").endswith("/v1"):
            base_url = join_url(base_url, "/v1")
        url = URL(join_url(base_url, self.paths[dialect]) + (f"?{query}" if query else ""), encoded=True)
        if not query and base_url:
            self.urls[dialect] = url
        return url

    def timeouts_for(self, model: str) -> Timeouts:
        """The limits of a call. A model that reasons has more time where nobody has set a limit."""
        own = self.config.model_timeouts.get(model, self.config.timeouts)
        if not self.facts_of(model).reasoning:
            return own
        return REASONING_TIMEOUTS if own == Timeouts() else own.with_defaults(REASONING_TIMEOUTS)

    def options_for(self, model: str) -> Mapping[str, Any]:
        """`config.options`, with what is set of `model`, and before both what its refusals have taught."""
        most, taught = self.config.max_output_tokens.get(model), self.taught.get(model)
        if most is None and taught is None:
            return self.config.options
        limit = {} if most is None else {"maxOutputTokens": most}
        return {**self.config.options, **limit, **(taught or NO_OPTIONS)}

    def facts_of(self, model: str) -> ModelFacts:
        """What is known of `model` here."""
        return facts_of(model, self.config.type, self.options_for(model))


class ProviderSet:
    """All providers of a configuration. Usable while `run` runs, once `ready` is set."""

    def __init__(
        self, loaded: LoadedConfig, *, root: str, register_secret: Callable[[str], None], watch_interval_s: float
    ) -> None:
        self.config = loaded.config
        self.digest = loaded.digest
        self.has_budget = loaded.config.budget != GatewayBudget()
        self.ready = asyncio.Event()
        self._plans: dict[tuple[str, DialectName], tuple[RoutePlan, ...]] = {}
        self._idle: asyncio.Event | None = None
        self._requests = 0
        self.providers: dict[str, Provider] = {}
        for provider in loaded.config.providers:
            kind = PROVIDERS[provider.type]
            folder = None if provider.credentials is None else relocate(provider.credentials, root)
            pool = open_pool(
                folder,
                needs_key=kind.needs_key,
                register=register_secret,
                interval_s=watch_interval_s,
                names=tuple(provider.options.get("keys", ())),
            )
            base_url = provider.base_url or kind.address
            self.providers[provider.name] = Provider(
                provider, base_url, paths_of(provider.type, provider.options), pool
            )

    def plans(self, model: str, dialect: DialectName) -> tuple[RoutePlan, ...]:
        """The routes of `model`, at least one. Raises UnknownModelError."""
        plans = self._plans.get((model, dialect))
        if plans is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            routes = find_routes(self.config, model, dialect)
            plans = self._plans[model, dialect] = tuple(self._plan(route) for route in routes)
        return plans

    def enter(self) -> None:
        """A request begins with this provider_set."""
        self._requests += 1

    def leave(self) -> None:
        """A request has ended."""
        self._requests -= 1
        if self._idle is not None and not self._requests:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Return when the last request with this provider_set has ended; for one that gets no new ones."""
        if self._requests:
            self._idle = asyncio.Event()
            await self._idle.wait()

    async def run(self) -> None:
        """Serve the mocks and watch the keys until cancelled."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            for provider in self.providers.values():
                if provider.config.type == "mock" and not provider.config.base_url:
                    server = MockServer(parse_script(provider.config.options, where=provider.name))
                    await stack.enter_async_context(server)
                    provider.base_url = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/v1"
                tasks.create_task(provider.keys.run(), name=f"keys of {provider.name}")
            await self._wait_for_keys()
            self.ready.set()
            await asyncio.Event().wait()

    def check(self) -> str | None:
        """A readiness check: at least one route has a key."""
        if any(provider.keys.keys for provider in self.providers.values()):
            return None
        return "no provider has a key: mount one as api-key in " + ", ".join(
            f"{provider.config.credentials or 'credentials'} ({provider.name})" for provider in self.providers.values()
        )

    def _plan(self, route: Route) -> RoutePlan:
        provider = self.providers[route.provider]
        return RoutePlan(route, provider, provider.timeouts_for(route.model))

    async def _wait_for_keys(self) -> None:
        """Folders are read on threads; a first request should not find a provider without its keys."""
        try:
            async with asyncio.timeout(FIRST_KEYS_S):
                for provider in self.providers.values():
                    await provider.keys.refresh()
        except TimeoutError:
            return
