"""What a platform says of models and of the gateway's traffic reaches every gateway, behind what an AgentType says."""

from typing import Any

import pytest

from agent_api.agenttype import AgentType
from agent_api.gatewayconfig import GatewayConfig, Timeouts
from agent_api.problems import examine
from agent_render import PlatformSettings, SettingsError, parse_settings
from agent_render.containers.llmgateway import gateway_config


def gateway(settings: dict[str, Any], *providers: dict[str, Any]) -> GatewayConfig:
    """As the gateway reads it."""
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "nginx"}, "llm": {"providers": list(providers)}},
        }
    )
    assert verdict.agent is not None, verdict.problems
    return read_back(verdict.agent, parse_settings({"llm": settings}))


def read_back(agent: AgentType, settings: PlatformSettings) -> GatewayConfig:
    assert agent.spec.llm is not None
    return GatewayConfig.model_validate_json(gateway_config(agent, agent.spec.llm, settings).model_dump_json())


def provider(name: str = "main", **config: Any) -> dict[str, Any]:
    return {"name": name, "type": "openai", "credentialsSecret": "keys", "config": {"model": "house", **config}}


def test_nothing_said_is_the_default() -> None:
    config = gateway({}, provider())
    assert config.limits == GatewayConfig(agent="web", providers=config.providers).limits
    assert config.providers[0].timeouts == Timeouts()
    assert not config.providers[0].timeouts.model_fields_set
    assert config.context_tokens == {}


def test_a_model_has_its_context_its_output_and_its_timeouts() -> None:
    said = {"contextTokens": 131_072, "maxOutputTokens": 8192, "timeouts": {"firstToken": 90, "idle": 200}}
    config = gateway({"models": {"house": said}}, provider(), provider("backup"))
    for name, own in zip(("main", "backup"), config.providers, strict=True):
        assert config.context_of(name, "house") == 131_072
        assert own.max_output_tokens == {"house": 8192}
        limits = own.model_timeouts["house"]
        assert (limits.first_token, limits.first_token_last, limits.idle) == (90, 90, 200)


def test_a_name_with_a_provider_is_about_that_one_alone() -> None:
    models = {"house": {"contextTokens": 1000, "maxOutputTokens": 10}, "main/house": {"contextTokens": 2000}}
    config = gateway({"models": models}, provider(), provider("backup"))
    assert [config.context_of(name, "house") for name in ("main", "backup")] == [2000, 1000]
    assert [own.max_output_tokens for own in config.providers] == [{"house": 10}, {"house": 10}]
    only = gateway({"models": {"backup/house": {"maxOutputTokens": 10}}}, provider(), provider("backup"))
    assert [own.max_output_tokens for own in only.providers] == [{}, {"house": 10}]


def test_a_model_may_have_a_name_that_no_author_could_write() -> None:
    name = "m" * 192
    config = gateway({"models": {name: {"maxOutputTokens": 3}}}, provider())
    assert config.providers[0].max_output_tokens == {name: 3}


def test_an_author_goes_before_the_platform_with_each_setting() -> None:
    own = {"model": "house", "contextTokens": 5, "timeouts": {"idle": 7}}
    said = {"contextTokens": 9, "maxOutputTokens": 11, "timeouts": {"idle": 8, "connect": 3}}
    platform = {"timeouts": {"total": 100, "firstToken": 40}, "models": {"house": said}}
    config = gateway(platform, provider(timeouts={"firstToken": 20}, modelSettings=[own]))
    assert config.context_of("main", "house") == 5
    assert config.providers[0].max_output_tokens == {"house": 11}
    limits = config.providers[0].model_timeouts["house"]
    assert limits == Timeouts(connect=3, first_token=20, first_token_last=20, idle=7, total=100)
    assert config.providers[0].timeouts == Timeouts(first_token=20, total=100)


def test_the_first_token_of_an_author_holds_on_the_last_route_whatever_the_platform_said() -> None:
    config = gateway({"timeouts": {"firstTokenLast": 120}}, provider(timeouts={"firstToken": 300}))
    assert config.providers[0].timeouts.first_token_last == 300
    config = gateway({"timeouts": {"firstToken": 10}}, provider(timeouts={"firstTokenLast": 50}))
    assert (config.providers[0].timeouts.first_token, config.providers[0].timeouts.first_token_last) == (10, 50)


def test_limits_of_traffic_reach_the_gateway() -> None:
    settings = {"limits": {"triesPerProvider": 1, "deadlineSeconds": 60}, "routeContentFilter": True}
    config = gateway(settings, provider())
    assert (config.limits.tries_per_provider, config.limits.deadline_seconds) == (1, 60)
    assert config.limits.tries_per_request == 6, "the other ones stay"
    assert config.route_content_filter


@pytest.mark.parametrize(
    "said, field",
    [
        ({"timeouts": {"firstTokens": 3}}, "llm.timeouts.firstTokens"),
        ({"timeouts": {"idle": 0}}, "llm.timeouts.idle"),
        ({"limits": {"triesPerRequest": 99}}, "llm.limits.triesPerRequest"),
        ({"models": {"m": {"contextTokens": 0}}}, "llm.models.m.contextTokens"),
        ({"models": {"m": {"contextToken": 9}}}, "llm.models.m.contextToken"),
        ({"models": {f"m{number}": {} for number in range(65)}}, "llm.models"),
    ],
)
def test_a_mistake_is_named_with_its_place(said: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings({"llm": said})
    assert [problem.field for problem in error.value.problems] == [field]
