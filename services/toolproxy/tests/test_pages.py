import pytest

from agent_toolproxy.serving.mcp.calls import RpcError
from agent_toolproxy.serving.mcp.pages import list_page


def test_pages_are_cut_and_foreign_cursors_refused() -> None:
    listed = [{"name": f"t{number:04}"} for number in range(1100)]
    first = list_page("tools", listed, {})
    second = list_page("tools", listed, {"cursor": first["nextCursor"]})
    third = list_page("tools", listed, {"cursor": second["nextCursor"]})
    assert [*first["tools"], *second["tools"], *third["tools"]] == listed
    assert "nextCursor" not in third
    for cursor in ("", "x", 5, first["nextCursor"]):
        with pytest.raises(RpcError):
            list_page("tools", listed[:1000], {"cursor": cursor})


def test_a_cursor_of_one_list_is_none_of_another() -> None:
    listed = [{"name": f"t{number:04}"} for number in range(501)]
    cursor = list_page("tools", listed, {})["nextCursor"]
    with pytest.raises(RpcError):
        list_page("prompts", listed, {"cursor": cursor})
