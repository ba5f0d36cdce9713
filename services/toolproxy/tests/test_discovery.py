from typing import Any

import pytest

from agent_api.toolsconfig import PlannedTool, ToolDefinition, ToolsPolicy
from agent_toolproxy.errors import (
    NotAllowed,
    NotFound,
)
from agent_toolproxy.installers.https import HttpsSource
from agent_toolproxy.installers.onpath import PathSource
from agent_toolproxy.store.store import Record
from agent_toolproxy.tools.discovery import find_tool, is_allowed


def planned(name: str, **more: Any) -> PlannedTool:
    return PlannedTool(name=name, **more)


def test_places_have_an_order() -> None:
    here = {"tool": "/usr/bin/tool"}.get
    own = ToolDefinition(name="tool", source="https://e.com/own")
    theirs = ToolDefinition(name="tool", source="https://e.com/theirs", description="d")
    nothing = lambda _: None  # noqa: E731 - a stand-in
    both = planned("tool", catalogue=theirs, custom=own)
    found = find_tool(both, ToolsPolicy(), nothing, here)
    assert (found.place, found.source, found.definition.description) == ("path", PathSource("/usr/bin/tool"), "d")
    found = find_tool(both, ToolsPolicy(), nothing, nothing)
    assert (found.place, found.source) == ("catalogue", HttpsSource("https://e.com/theirs"))
    assert find_tool(planned("tool", custom=own), ToolsPolicy(), nothing, nothing).place == "custom"
    record = Record(name="tool", key=found.key, digest="d", source="s", program="p")
    assert find_tool(both, ToolsPolicy(), lambda _: record, here).place == "installed"
    other = record.model_copy(update={"key": "other"})
    assert find_tool(both, ToolsPolicy(), lambda _: other, here).place == "path"
    with pytest.raises(NotFound, match=r"tools\.custom"):
        find_tool(planned("tool"), ToolsPolicy(), nothing, nothing)
    assert find_tool(planned("tool", custom=own), ToolsPolicy(), nothing, here).place == "custom"
    server = ToolDefinition(name="tool", source="mcp+https://e.com/mcp")
    assert find_tool(planned("tool", custom=server), ToolsPolicy(), nothing, here).place == "custom"


@pytest.mark.parametrize(
    "allow,deny,allowed",
    [
        ((), (), True),
        (("s__*",), (), True),
        (("other",), (), False),
        ((), ("s__t",), False),
        (("s",), ("*__t",), False),
    ],
)
def test_deny_wins_over_allow(allow: tuple[str, ...], deny: tuple[str, ...], allowed: bool) -> None:
    assert is_allowed(ToolsPolicy(allow=allow, deny=deny), "s__t", "s") is allowed


def test_a_denied_tool_is_not_looked_for() -> None:
    with pytest.raises(NotAllowed):
        find_tool(planned("git"), ToolsPolicy(deny=("git",)), lambda _: None, lambda _: "/usr/bin/git")
