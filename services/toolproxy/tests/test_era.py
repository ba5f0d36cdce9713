from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_toolproxy.mcp.era import Accepted, Legacy, Modern, Refused, classify
from agent_toolproxy.mcp.messages import KEY_CAPABILITIES, KEY_VERSION

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


def request(method: str, meta: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta} if meta is not None else {}}


@pytest.mark.parametrize(
    "body,version,expected",
    [
        (request("tools/list", {KEY_VERSION: "2026-07-28"}), None, Modern),
        (request("tools/list", {KEY_CAPABILITIES: {}}), "2025-06-18", Modern),
        (request("initialize", {KEY_VERSION: "2026-07-28"}), None, Modern),
        (request("initialize"), "2026-07-28", Legacy),
        (request("tools/list"), None, Legacy),
        (request("tools/list"), "2025-06-18", Legacy),
        (request("tools/list"), "2026-07-28", Refused),
        (request("tools/list"), "2031-01-01", Refused),
        ([request("ping")], None, Legacy),
        ([request("ping")], "2025-11-25", Refused),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "2025-11-25", Accepted),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, "2026-07-28", Refused),
        ({"jsonrpc": "2.0", "method": "x"}, "2026-07-28", Accepted),
        ({"jsonrpc": "2.0", "method": "x"}, "2031-01-01", Refused),
    ],
)
def test_the_table_of_eras(body: Any, version: str | None, expected: type) -> None:
    assert isinstance(classify(body, version), expected)


@given(JSON, st.sampled_from([None, "2026-07-28", "2025-03-26", "x"]))
def test_any_json_has_a_verdict(body: Any, version: str | None) -> None:
    assert isinstance(classify(body, version), Modern | Legacy | Accepted | Refused)
