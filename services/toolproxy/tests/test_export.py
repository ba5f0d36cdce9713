from hypothesis import given
from hypothesis import strategies as st

from agent_api.toolsconfig import ToolOptions
from agent_toolproxy.mcp.export import export_name, export_tools


@given(st.text(min_size=1, max_size=120), st.text(min_size=1, max_size=120))
def test_names_are_legal_short_and_distinct(first: str, second: str) -> None:
    names = {export_name("server", each) for each in (first, second)}
    assert all(len(name) <= 64 and name.isascii() for name in names)
    assert len(names) == len({first, second})


def test_definitions_keep_their_parts_and_lose_ours() -> None:
    tool = {
        "name": "a",
        "title": "A",
        "description": "d",
        "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": True},
        "execution": {"taskSupport": "optional"},
        "outputSchema": None,
    }
    export = export_tools("s", [tool, tool, {"name": "b"}], ToolOptions(rename={"a": "x"}))
    (exported,) = export.tools
    assert set(export.set_aside) == {"s__a", "s__b"}
    assert exported.definition == {
        "name": "s__x",
        "title": "A",
        "description": "d",
        "annotations": {"readOnlyHint": True},
        "inputSchema": {"type": "object"},
    }
