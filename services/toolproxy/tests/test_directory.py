import re
from typing import Any

import pytest

from agent_toolproxy.offers.directory import Directory, Place, prefix_of
from agent_toolproxy.offers.offer import Offer


def offer(*uris: str, templates: tuple[str, ...] = (), prompts: tuple[str, ...] = ()) -> Offer:
    return Offer(
        resources=tuple({"uri": uri, "name": uri} for uri in uris),
        templates=tuple({"uriTemplate": each, "name": each} for each in templates),
        prompts=tuple({"name": each} for each in prompts),
    )


def test_the_first_server_keeps_a_uri_and_each_can_be_named() -> None:
    directory = Directory([("one", offer("note://a")), ("two", offer("note://a", "note://b"))])
    assert [each["uri"] for each in directory.resources] == ["note://a", "two+note://a", "note://b"]
    assert directory.find_resource("note://a") == Place("one", "note://a")
    assert directory.find_resource("one+note://a") == Place("one", "note://a")
    assert directory.find_resource("two+note://a") == Place("two", "note://a")
    assert directory.find_resource("two+note://unlisted") == Place("two", "note://unlisted")
    assert directory.find_resource("note://unlisted") is None
    assert directory.show_uri("one", "note://a") == "note://a"
    assert directory.show_uri("two", "note://a") == "two+note://a"


def test_an_unlisted_uri_goes_by_templates_and_else_to_the_only_server_with_resources() -> None:
    directory = Directory([("one", offer(templates=("db://{table}/rows{?limit}",))), ("two", offer("x://1"))])
    assert directory.find_resource("db://t/rows?limit=3") == Place("one", "db://t/rows?limit=3")
    assert directory.find_resource("db://t/cells") is None
    assert Directory([("one", offer("x://1")), ("two", Offer())]).find_resource("y://2") == Place("one", "y://2")


@pytest.mark.parametrize("server", ["git", "a.b-c", "Git", "my_server", "1st", "x" * 63])
def test_a_qualified_uri_is_one_whatever_the_server_is_called(server: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9+.-]*", prefix_of(server))
    directory = Directory([("first", offer("note://a")), (server, offer("note://a"))])
    shown = directory.resources[1]["uri"]
    assert directory.find_resource(shown) == Place(server, "note://a")


def test_names_that_become_the_same_prefix_stay_apart() -> None:
    assert len({prefix_of(name) for name in ("My-Server", "my_server", "my-server", "MY_SERVER")}) == 4


def test_prompts_are_named_as_tools_are() -> None:
    found: Any = Directory([("git", offer(prompts=("commit", "with.dot")))])
    names = [each["name"] for each in found.prompts]
    assert names[0] == "git__commit"
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert found.find_prompt(names[1]) == Place("git", "with.dot")
