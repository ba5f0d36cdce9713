"""gateway.json as it is read: a bad one is refused with its place."""

import json
from typing import Any

import pytest

from agent_api.gatewayconfig import Timeouts
from agent_llmgateway.config.loaded import parse_config


def config_of(**fields: Any) -> bytes:
    provider = {"name": "a", "type": "mock"}
    return json.dumps({"agent": "x", "providers": [provider], **fields}).encode()


@pytest.mark.parametrize(
    "fields,message",
    [
        ({"providers": []}, "providers"),
        ({"providers": [{"name": "a", "type": "mock"}] * 2}, "two providers are called 'a'"),
        ({"providers": [{"name": "a", "type": "openai-compatible"}]}, "needs baseUrl"),
        ({"providers": [{"name": "a", "type": "openai", "baseUrl": "ftp://x"}]}, "http(s) address"),
        ({"providers": [{"name": "a", "type": "openai", "baseUrl": "http://u:p@x"}]}, "without credentials"),
        ({"providers": [{"name": "a", "type": "openai", "credentials": "keys"}]}, "absolute path"),
        ({"providers": [{"name": "a", "type": "mock", "options": {"replys": []}}]}, "options.replys"),
        ({"providers": [{"name": "a", "type": "openai", "options": {"headers": {"x": 1}}}]}, "options.headers"),
        ({"providers": [{"name": "a", "type": "openai", "options": {"headers": {"X-API-Key": "x"}}}]}, "show a key"),
        ({"providers": [{"name": "a", "type": "openai", "options": {"keys": "x"}}]}, "options.keys"),
        ({"models": [{"name": "m", "routes": [{"provider": "b"}]}]}, "no provider is called 'b'"),
        ({"models": [{"name": "m", "routes": [{"provider": "a"}]}] * 2}, "two aliases are called 'm'"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_a_bad_configuration_is_refused_with_its_place(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        parse_config(config_of(**fields))


def test_a_first_token_that_is_set_holds_on_the_last_route_too() -> None:
    assert (Timeouts().first_token, Timeouts().first_token_last) == (30, 120)
    assert Timeouts.model_validate({"firstToken": 300}).first_token_last == 300
    assert Timeouts(first_token=5, first_token_last=9).first_token_last == 9
