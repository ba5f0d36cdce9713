"""The limits of a call: what is set, the provider's, and more time for models that reason where nothing is set."""

from typing import Any

import pytest

from agent_api.gatewayconfig import GatewayProvider, Timeouts
from agent_llmgateway.config.providerset import REASONING_TIMEOUTS, Provider
from agent_llmgateway.upstream.keys import open_pool
from agent_llmgateway.upstream.providers import paths_of


def timeouts_for(model: str, **fields: Any) -> Timeouts:
    """As gateway.json says it, after it was written and read."""
    written = GatewayProvider.model_validate({"name": "a", "type": "openai", **fields}).model_dump_json()
    config = GatewayProvider.model_validate_json(written)
    pool = open_pool(None, needs_key=False, register=lambda _: None, interval_s=1.0)
    return Provider(config, config.base_url, paths_of("openai", {}), pool).timeouts_for(model)


@pytest.mark.parametrize(
    "set_of_provider, first_last_idle",
    [
        ({}, (120, 300, 300)),
        ({"connect": 2}, (120, 300, 300)),
        ({"idle": 20}, (120, 300, 20)),
        ({"firstToken": 30}, (30, 30, 300)),
        ({"firstTokenLast": 40}, (120, 40, 300)),
    ],
)
def test_a_model_that_reasons_has_more_time_where_nobody_set_a_limit(
    set_of_provider: dict[str, float], first_last_idle: tuple[float, ...]
) -> None:
    limits = timeouts_for("gpt-5", timeouts=set_of_provider)
    assert (limits.first_token, limits.first_token_last, limits.idle) == first_last_idle


def test_what_is_set_of_a_model_goes_before_its_provider() -> None:
    limits = timeouts_for("gpt-5", timeouts={"connect": 2}, modelTimeouts={"gpt-5": {"firstToken": 9}})
    assert limits == Timeouts(first_token=9, idle=300)
    assert timeouts_for("gpt-4.1", modelTimeouts={"gpt-5": {"firstToken": 9}}) == Timeouts()


def test_a_file_with_every_default_in_it_says_nothing() -> None:
    """An older operator writes the defaults as well."""
    every = {"connect": 5, "firstToken": 30, "firstTokenLast": 120, "idle": 60, "total": 600}
    assert timeouts_for("gpt-5", timeouts=every) == REASONING_TIMEOUTS
