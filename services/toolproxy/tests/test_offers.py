import time
from typing import Any

import pytest

from agent_toolproxy.errors import UpstreamProtocol
from agent_toolproxy.mcp.definitions import DefinitionError
from agent_toolproxy.offers.definitions import check_prompt, check_resource, check_template
from agent_toolproxy.offers.offer import judge
from agent_toolproxy.offers.results import show_completion, show_contents, show_prompt
from agent_toolproxy.offers.uritemplate import UriTemplate


def deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {"name": "n"},
        {"uri": 7, "name": "n"},
        {"uri": "no scheme", "name": "n"},
        {"uri": "http://[::", "name": "n"},
        {"uri": "http://a:99999/", "name": "n"},
        {"uri": "a://" + "x" * 3000, "name": "n"},
        {"uri": "a://b\n", "name": "n"},
        {"uri": "a://b", "name": 7},
        {"uri": "a://b", "name": "n", "description": []},
        {"uri": "a://b", "name": "n", "mimeType": {}},
        {"uri": "a://b", "name": "n", "size": "large"},
        {"uri": "a://b", "name": "n", "annotations": []},
        {"uri": "a://b", "name": "n", "icons": [{}]},
        {"uri": "a://b", "name": "n", "_meta": deep(40)},
        {"uri": "a://b", "name": "n", "description": "x" * 40_000},
    ],
)
def test_a_malformed_resource_is_set_aside_alone(entry: Any) -> None:
    with pytest.raises(DefinitionError):
        check_resource(entry)
    found, set_aside = judge([entry, {"uri": "a://good"}], "uri", check_resource)
    assert [each["name"] for each in found] == ["a://good"]
    assert list(set_aside) == ["[1]"]


@pytest.mark.parametrize("template", ["{", "a://{x", "a://x}", "a://{{x}}", "{x}", "a://" + "{x}" * 21, 7])
def test_a_malformed_template_is_set_aside(template: Any) -> None:
    with pytest.raises(DefinitionError):
        check_template({"uriTemplate": template, "name": "n"})


@pytest.mark.parametrize(
    "arguments", [{}, [7], [{"name": 7}], [{"name": "a", "required": "yes"}], [{"name": "a"}] * 101]
)
def test_a_malformed_prompt_is_set_aside(arguments: Any) -> None:
    with pytest.raises(DefinitionError):
        check_prompt({"name": "p", "arguments": arguments})


def test_a_template_is_matched_in_linear_time() -> None:
    template = UriTemplate("a://" + "{x}a" * 20)
    began = time.perf_counter()
    assert not template.matches("a://" + "a" * 100_000 + "b")
    assert template.matches("a://" + "a" * 100_000)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "contents", [None, {}, [7], [{"uri": "a://b"}], [{"uri": 7, "text": "x"}], [{"uri": "a://b", "text": 7}]]
)
def test_contents_that_no_client_takes_are_the_servers_failure(contents: Any) -> None:
    with pytest.raises(UpstreamProtocol):
        show_contents({"contents": contents}, str)
    with pytest.raises(UpstreamProtocol):
        show_contents({"contents": [], "_meta": deep(200)}, str)


@pytest.mark.parametrize(
    "messages", [None, [7], [{"role": "system", "content": "x"}], [{"role": "user", "content": []}]]
)
def test_prompts_that_no_client_takes_are_the_servers_failure(messages: Any) -> None:
    with pytest.raises(UpstreamProtocol):
        show_prompt({"messages": messages})


def test_a_completion_is_bounded() -> None:
    shown = show_completion({"completion": {"values": ["x" * 9000] * 300, "total": "many", "hasMore": False}})
    assert len(shown["completion"]["values"]) == 100
    assert {len(each) for each in shown["completion"]["values"]} == {4096}
    assert shown["completion"]["hasMore"] is True
    assert "total" not in shown["completion"]
    with pytest.raises(UpstreamProtocol):
        show_completion({"completion": {"values": [1]}})
