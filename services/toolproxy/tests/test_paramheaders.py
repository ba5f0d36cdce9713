import json
from typing import Any

import pytest

from agent_toolproxy.mcp.paramheaders import AnnotationError, extract_param_headers


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"n": {"type": "number", "x-mcp-header": "N"}}},
        {"properties": {"n": {"type": "string", "x-mcp-header": ""}}},
        {"properties": {"n": {"type": "string", "x-mcp-header": "a b"}}},
        {"properties": {"n": {"type": ["string"], "x-mcp-header": "N"}}},
        {"properties": {"a": {"type": "string", "x-mcp-header": "N"}, "b": {"type": "string", "x-mcp-header": "n"}}},
        {"properties": {"a": {"type": "array", "items": {"type": "string", "x-mcp-header": "N"}}}},
        {"anyOf": [{"properties": {"a": {"type": "string", "x-mcp-header": "N"}}}]},
    ],
)
def test_annotations_that_break_the_rules(schema: dict[str, Any]) -> None:
    with pytest.raises(AnnotationError):
        extract_param_headers({"type": "object", **schema})


def test_annotated_arguments_become_headers() -> None:
    nested = {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}}
    properties = {"n": {"type": "integer", "x-mcp-header": "Count"}, "o": nested, "x-mcp-header": {"type": "string"}}
    stripped, headers = extract_param_headers({"type": "object", "properties": properties})
    assert "Count" not in json.dumps(stripped)
    assert "x-mcp-header" in stripped["properties"]
    assert headers.build({"n": 5, "o": {"flag": True}}) == {"Mcp-Param-Count": "5", "Mcp-Param-Flag": "true"}
    assert headers.build({"n": None, "o": "not an object"}) == {}
    with pytest.raises(ValueError, match="cannot carry"):
        headers.build({"n": 2**60})
