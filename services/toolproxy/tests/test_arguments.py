from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_api.toolsconfig import Argument, ToolOptions
from agent_toolproxy.errors import (
    InvalidArguments,
)
from agent_toolproxy.process.arguments import build_invocation

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"a_b": {"type": "string"}, "on": {"type": "boolean"}, "stdin": {}},
}


def test_without_a_template_properties_are_flags() -> None:
    options = ToolOptions(input_schema=SCHEMA, arguments=("sub",))
    built = build_invocation(options, {"a_b": "-x y", "on": True, "stdin": "text"})
    assert (built.argv, built.stdin) == (("sub", "--a-b=-x y", "--on"), b"text")
    assert build_invocation(options, {"on": False, "a_b": None}).argv == ("sub",)


@given(st.lists(st.text(max_size=20), max_size=6))
def test_default_arguments_are_passed_as_they_are(args: list[str]) -> None:
    assert build_invocation(ToolOptions(), {"args": args}).argv == tuple(args)


def test_positional_values_cannot_become_options() -> None:
    guarded = ToolOptions(input_schema=SCHEMA, argv=(Argument(property="a_b"),))
    with pytest.raises(InvalidArguments, match="a_b"):
        build_invocation(guarded, {"a_b": "--evil"})
    after = ToolOptions(input_schema=SCHEMA, argv=("--", Argument(property="a_b")))
    assert build_invocation(after, {"a_b": "--fine"}).argv == ("--", "--fine")
    with pytest.raises(InvalidArguments, match="lists of them"):
        build_invocation(after, {"a_b": {"an": "object"}})
