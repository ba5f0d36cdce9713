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


NARROW = {"properties": {"path": {"type": "string", "pattern": "^docs/"}}, "required": ["path"]}


def test_a_schema_of_the_author_takes_the_place_of_the_servers_and_its_own_stays_pinned() -> None:
    own = {"type": "object", "properties": {"path": {"type": "string"}, "force": {"type": "boolean"}}}
    export = export_tools("s", [{"name": "a", "inputSchema": own}], ToolOptions(input_schemas={"a": NARROW}))

    (tool,) = export.tools
    assert tool.definition == {"name": "s__a", "inputSchema": {"type": "object", **NARROW}}
    assert tool.own_definition == {"name": "s__a", "inputSchema": own}
    assert tool.schema is not None
    assert tool.schema.problems({"path": "docs/a"}) == []
    assert tool.schema.problems({"path": "../etc"})
    assert export.set_aside == {}


def test_a_schema_for_a_tool_that_is_not_there_is_reported() -> None:
    tool = {"name": "a", "inputSchema": {"type": "object"}}
    export = export_tools("s", [tool], ToolOptions(input_schemas={"b": NARROW, "a": {"type": "array"}}))

    assert export.tools == ()
    assert set(export.set_aside) == {"s__a", "s__b"}
    assert export.set_aside["s__a"].startswith("config.inputSchemas: its inputSchema")
