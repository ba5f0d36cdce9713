from typing import Any

import pytest

from agent_api.gatewayconfig import GatewayConfig
from agent_llmgateway.errors import UnknownModelError
from agent_llmgateway.failover.routing import find_routes, list_models

CONFIG = GatewayConfig.model_validate(
    {
        "agent": "a",
        "providers": [
            {"name": "main", "type": "anthropic", "model": "claude-x", "models": ["claude-mini"]},
            {"name": "backup", "type": "openai", "model": "gpt-x", "models": ["gpt-mini", "claude-mini"]},
            {"name": "silent", "type": "openai"},
            {"name": "toy", "type": "mock"},
        ],
        "models": [
            {"name": "fast", "routes": [{"provider": "backup", "model": "gpt-mini"}, {"provider": "main"}]},
            {"name": "gpt-x", "routes": [{"provider": "main"}]},
            {
                "name": "vectors",
                "routes": [
                    {"provider": "backup", "model": "embed-1"},
                    {"provider": "toy", "model": "embed-2"},
                    {"provider": "silent", "model": "embed-1"},
                ],
            },
        ],
    }
)


@pytest.mark.parametrize(
    "model,expected",
    [
        ("fast", ["backup/gpt-mini", "main/claude-x"]),
        ("gpt-x", ["main/claude-x"]),
        ("backup/anything", ["backup/anything"]),
        ("silent/org/name", ["silent/org/name"]),
        ("claude-x", ["main/claude-x", "backup/gpt-x", "toy/mock"]),
        ("claude-mini", ["main/claude-mini", "backup/claude-mini", "toy/mock"]),
        ("gpt-mini", ["backup/gpt-mini", "main/claude-x", "toy/mock"]),
        ("mock", ["toy/mock", "main/claude-x", "backup/gpt-x"]),
        ("auto", ["main/claude-x", "backup/gpt-x", "toy/mock"]),
        ("default", ["main/claude-x", "backup/gpt-x", "toy/mock"]),
    ],
)
def test_a_name_leads_to_routes_in_order(model: str, expected: list[str]) -> None:
    assert [f"{route.provider}/{route.model}" for route in find_routes(CONFIG, model, "chat")] == expected


@pytest.mark.parametrize("model", ["gpt-unknown", "nobody/gpt-x", "main/", "", "AUTO"])
def test_an_unknown_name_is_404(model: str) -> None:
    with pytest.raises(UnknownModelError) as unknown:
        find_routes(CONFIG, model, "chat")
    assert unknown.value.code == "model_not_found"
    assert unknown.value.status == 404


def test_embeddings_never_go_to_another_model() -> None:
    routes = find_routes(CONFIG, "vectors", "embeddings")
    assert [f"{route.provider}/{route.model}" for route in routes] == ["backup/embed-1", "silent/embed-1"]
    assert [route.provider for route in find_routes(CONFIG, "auto", "embeddings")] == ["main"]


def test_the_list_of_models_can_be_asked_for() -> None:
    names: list[Any] = list_models(CONFIG)
    assert len(names) == len(set(names))
    for name in names:
        assert find_routes(CONFIG, name, "chat")
