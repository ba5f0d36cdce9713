"""A budget of money needs prices: what has none is refused before the first call, with the models by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_api.agenttype import AgentType
from agent_api.problems import examine
from agent_render import NoPriceError, PlatformSettings, parse_settings, render

PRODUCTION = Path(__file__).parents[3] / "deploy" / "features" / "apis" / "production" / "kustomization.yaml"


def agent(llm: dict[str, Any]) -> AgentType:
    verdict = examine(
        {
            "apiVersion": "agents.example.com/v1",
            "kind": "AgentType",
            "metadata": {"name": "web", "namespace": "agents"},
            "spec": {"agent": {"image": "nginx"}, "llm": llm},
        }
    )
    assert verdict.agent is not None, verdict.problems
    return verdict.agent


def with_model(model: str, **budget: Any) -> AgentType:
    provider = {"name": "main", "type": "openai", "credentialsSecret": "keys", "config": {"model": model}}
    return agent({"providers": [provider], "budget": budget})


def test_the_shipped_production_feature_has_prices() -> None:
    [patch] = yaml.safe_load(PRODUCTION.read_text())["patches"]
    llm = yaml.safe_load(patch["patch"])[0]["value"]
    assert llm["budget"]["usdPerDay"]
    assert render(agent(llm), PlatformSettings())


def test_a_model_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(NoPriceError, match=r"main/house-model.*`prices`"):
        render(with_model("house-model", usdPerDay=5), PlatformSettings())
    assert render(with_model("house-model", tokensPerHour=5000), PlatformSettings())


def test_a_price_in_the_platforms_settings_is_enough() -> None:
    settings = parse_settings({"prices": {"house-model": {"inputUsd": 1, "outputUsd": 2}}})
    assert render(with_model("house-model", usdPerDay=5), settings)
