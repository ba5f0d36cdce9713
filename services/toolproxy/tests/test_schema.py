import pytest

from agent_toolproxy.errors import (
    InvalidArguments,
)
from agent_toolproxy.schema import Schema, SchemaError


def test_schemas_follow_no_reference_and_terminate() -> None:
    with pytest.raises(SchemaError, match="not followed"):
        Schema({"$ref": "http://127.0.0.1:1/evil.json"})
    with pytest.raises(SchemaError):
        Schema({"type": "no such type"})
    slow = Schema({"type": "object", "properties": {"a": {"pattern": "^(a+)+$", "type": "string"}}})
    assert slow.problems({"a": "a" * 5000 + "b"})
    with pytest.raises(InvalidArguments, match="a: "):
        slow.check({"a": 1})
