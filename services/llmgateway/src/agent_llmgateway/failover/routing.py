"""From the name of a model to the routes that may answer, in order. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from agent_api.gatewayconfig import GatewayConfig, GatewayProvider, served_models
from agent_llmgateway.errors import UnknownModelError
from agent_llmgateway.wire.dialects import DialectName

ANY_MODEL = ("default", "auto")


class Route(NamedTuple):
    """A provider's name, and the model to ask there."""

    provider: str
    model: str


def find_routes(config: GatewayConfig, model: str, dialect: DialectName) -> tuple[Route, ...]:
    """The routes of `model`, at least one. Raises UnknownModelError.

    Vectors of two models cannot be compared, whatever their length: embeddings keep to the first route's model.
    """
    routes = _unique(
        _alias_routes(config, model)
        or _named_routes(config, model)
        or _serving_routes(config, model)
        or (_all_routes(config) if model in ANY_MODEL else ())
    )
    if not routes:
        raise UnknownModelError(model, list_models(config))
    if dialect == "embeddings":
        return tuple(route for route in routes if route.model == routes[0].model)
    return routes


def list_models(config: GatewayConfig) -> list[str]:
    """Every name that a request may use and that is known beforehand: aliases, models, provider/model."""
    names = [alias.name for alias in config.models]
    served = [(provider.name, model) for provider in config.providers for model in served_models(provider)]
    names += [model for _, model in served]
    names += [f"{provider}/{model}" for provider, model in served]
    return list(dict.fromkeys(names))


def own_model(provider: GatewayProvider) -> str | None:
    """The model for requests that fail over to `provider`."""
    return next(iter(served_models(provider)), None)


def _alias_routes(config: GatewayConfig, name: str) -> Sequence[Route]:
    providers = {provider.name: provider for provider in config.providers}
    for alias in config.models:
        if alias.name == name:
            wanted = ((route.provider, route.model or own_model(providers[route.provider])) for route in alias.routes)
            return [Route(provider, model) for provider, model in wanted if model]
    return ()


def _named_routes(config: GatewayConfig, name: str) -> Sequence[Route]:
    provider, slash, model = name.partition("/")
    known = any(each.name == provider for each in config.providers)
    return [Route(provider, model)] if slash and model and known else ()


def _serving_routes(config: GatewayConfig, model: str) -> Sequence[Route]:
    """Those that serve it; behind them the others, each with its own model."""
    serving = [Route(provider.name, model) for provider in config.providers if model in served_models(provider)]
    if not serving:
        return ()
    first = serving[0]
    others = [
        Route(provider.name, model if model in served_models(provider) else own)
        for provider in config.providers
        if provider.name != first.provider and (own := own_model(provider))
    ]
    return [first, *others]


def _all_routes(config: GatewayConfig) -> Sequence[Route]:
    return [Route(provider.name, own) for provider in config.providers if (own := own_model(provider))]


def _unique(routes: Sequence[Route]) -> tuple[Route, ...]:
    return tuple(dict.fromkeys(routes))
