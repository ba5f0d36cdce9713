"""The model gateway: one address for every model, with the keys where the agent cannot reach them."""

from agent_api import layout
from agent_api.agenttype import AgentType, Llm, Provider
from agent_api.agenttype.services import ModelSettings, ProviderTimeouts
from agent_api.gatewayconfig import (
    GatewayAlias,
    GatewayBudget,
    GatewayConfig,
    GatewayMemory,
    GatewayProvider,
    GatewayRoute,
    Timeouts,
)
from agent_render.containers import memoryaccess, sidecar
from agent_render.errors import NoPriceError
from agent_render.identity import Manifest
from agent_render.parts.monitoring import keeps_content
from agent_render.parts.part import PodPart, mount, scratch, variable
from agent_render.settings import PlatformSettings
from agent_render.settings.llm import LlmSettings, LlmTimeouts

_NOTHING = ModelSettings(model="none")
_OPERATORS = {"warn_at_percent"}
"""Of a budget, what the operator alone needs."""
_ADDRESS = f"http://127.0.0.1:{layout.LLMGATEWAY_PORT}"


def part(agent: AgentType, settings: PlatformSettings) -> PodPart:
    """The sidecar, its configuration and keys, and where the agent finds it.

    Raises NoPriceError when a budget of money would refuse what a provider serves.
    """
    llm = agent.spec.llm
    if llm is None:
        return PodPart()
    config = gateway_config(agent, llm, settings)
    if missing := config.unpriced():
        raise NoPriceError(missing)
    keys = {p.name: p.credentials_secret for p in llm.providers if p.credentials_secret}
    key_volumes, key_mounts = sidecar.credentials(layout.CREDENTIALS, keys)
    memory_volumes, memory_mounts = memoryaccess.credentials(agent)
    container = sidecar.container(
        agent,
        settings,
        name="llmgateway",
        image=settings.images.llmgateway,
        uid=layout.LLMGATEWAY_UID,
        ops_port=layout.LLMGATEWAY_OPS_PORT,
        mounts=(mount("gateway", layout.CONFIG_GATEWAY), *key_mounts, *memory_mounts),
    )
    return PodPart(
        init_containers=(container,),
        volumes=(
            sidecar.config_volume(
                agent,
                "gateway",
                layout.GATEWAY_KEY,
                token=layout.GATEWAY_TOKEN_KEY,
                report_key=layout.GATEWAY_REPORT_KEY,
            ),
            *key_volumes,
            *memory_volumes,
            scratch(layout.LLMGATEWAY, settings.tmp_size)[0],
        ),
        config={layout.GATEWAY_KEY: config.model_dump_json(indent=2)},
        agent_env=_agent_env(agent),
    )


def unpriced(agent: AgentType, settings: PlatformSettings) -> tuple[str, ...]:
    """The routes that a budget of money would refuse, since no price is known of them: `provider/model`."""
    return gateway_config(agent, agent.spec.llm, settings).unpriced() if agent.spec.llm else ()


def _agent_env(agent: AgentType) -> tuple[Manifest, ...]:
    """Where the clients of each maker look for an address and a key."""
    return (
        variable("OPENAI_BASE_URL", f"{_ADDRESS}/v1"),
        sidecar.token_variable(agent, "OPENAI_API_KEY", layout.GATEWAY_TOKEN_KEY),
        variable("ANTHROPIC_BASE_URL", _ADDRESS),
        sidecar.token_variable(agent, "ANTHROPIC_API_KEY", layout.GATEWAY_TOKEN_KEY),
        sidecar.token_variable(agent, "LLM_GATEWAY_TOKEN", layout.GATEWAY_TOKEN_KEY),
        variable("LLM_GATEWAY_URL", f"{_ADDRESS}{layout.DOOR}/$(LLM_GATEWAY_TOKEN)"),
    )


def gateway_config(agent: AgentType, llm: Llm, settings: PlatformSettings) -> GatewayConfig:
    """`gateway.json`: the spec's providers in their order, and the platform's price table."""
    aliases = (
        GatewayAlias(
            name=alias.name,
            routes=tuple(GatewayRoute(provider=route.provider, model=route.model) for route in alias.routes),
        )
        for alias in llm.models
    )
    budget, access, platform = llm.budget, memoryaccess.Access.of(agent), settings.llm
    names = frozenset(provider.name for provider in llm.providers)
    return GatewayConfig(
        agent=agent.metadata.name,
        namespace=agent.metadata.namespace or "default",
        providers=tuple(_provider(provider, platform, names) for provider in llm.providers),
        models=tuple(aliases),
        delivery=llm.delivery,
        budget=GatewayBudget(**budget.model_dump(by_alias=False, exclude=_OPERATORS)) if budget else GatewayBudget(),
        prices=settings.prices,
        context_tokens=_context_tokens(llm, platform),
        limits=platform.limits,
        route_content_filter=platform.route_content_filter,
        capture_content=keeps_content(agent),
        memory=GatewayMemory(url=access.url, credentials=access.folder) if access else None,
    )


def _provider(provider: Provider, platform: LlmSettings, names: frozenset[str]) -> GatewayProvider:
    config = provider.config
    own = {settings.model: settings for settings in config.model_settings}
    models = dict.fromkeys((*platform.models_of(provider.name, names), *own))
    timeouts: dict[str, Timeouts] = {}
    outputs: dict[str, int] = {}
    for model in models:
        general, said = platform.of_model(provider.name, model), own.get(model, _NOTHING)
        if said.timeouts or any(each.timeouts != LlmTimeouts() for each in general):
            of_platform = (platform.timeouts, *(each.timeouts for each in general))
            timeouts[model] = _timeouts(*of_platform, config.timeouts, said.timeouts)
        for limit in (*(each.max_output_tokens for each in general), said.max_output_tokens):
            outputs |= {model: limit} if limit else {}
    return GatewayProvider(
        name=provider.name,
        type=provider.type,
        base_url=config.base_url or "",
        credentials=f"{layout.CREDENTIALS}/{provider.name}" if provider.credentials_secret else None,
        model=config.model,
        models=config.models,
        timeouts=_timeouts(platform.timeouts, config.timeouts),
        model_timeouts=timeouts,
        max_output_tokens=outputs,
        options=config.model_extra or {},
    )


def _timeouts(*given: ProviderTimeouts | None) -> Timeouts:
    """The last one that sets a limit wins; its `firstToken` holds on the last route too, whatever was said before."""
    limits: dict[str, float] = {}
    for timeouts in given:
        own = timeouts.model_dump(exclude_none=True, by_alias=False) if timeouts else {}
        if "first_token" in own:
            limits.pop("first_token_last", None)
        limits |= own
    return Timeouts(**limits)


def _context_tokens(llm: Llm, platform: LlmSettings) -> dict[str, int]:
    own = {
        f"{provider.name}/{said.model}": said.context_tokens
        for provider in llm.providers
        for said in provider.config.model_settings
        if said.context_tokens
    }
    general = {name: model.context_tokens for name, model in platform.models.items() if model.context_tokens}
    return {**general, **own}
