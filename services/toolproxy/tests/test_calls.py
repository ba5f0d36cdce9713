from typing import Any

import pytest

from agent_toolproxy.mcp.messages import KEY_CAPABILITIES
from agent_toolproxy.serving.mcp.calls import RpcError, list_page, relayed_capabilities, throttle


def test_pages_are_cut_and_foreign_cursors_refused() -> None:
    listed = [{"name": f"t{number:04}"} for number in range(1100)]
    first = list_page(listed, {})
    second = list_page(listed, {"cursor": first["nextCursor"]})
    third = list_page(listed, {"cursor": second["nextCursor"]})
    assert [*first["tools"], *second["tools"], *third["tools"]] == listed
    assert "nextCursor" not in third
    for cursor in ("", "x", 5, first["nextCursor"]):
        with pytest.raises(RpcError):
            list_page(listed[:1000], {"cursor": cursor})


async def test_progress_grows_and_is_not_too_frequent() -> None:
    sent: list[Any] = []
    now = [0.0]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["params"]["progress"])

    listen = throttle("t", send, clock=lambda: now[0])
    for at, progress in ((0, 1), (0.01, 2), (1, 2.5), (2, 2.5), (3, 1), (4, 3), (4.001, 9)):
        now[0] = at
        await listen({"progress": progress, "total": 9})
    assert sent == [1, 2.5, 3, 9]


def test_only_what_can_be_relayed_is_passed_on() -> None:
    capabilities: dict[str, Any] = {"elicitation": {}, "roots": {}, "extensions": {"x": {}}, "experimental": {}}
    assert relayed_capabilities({KEY_CAPABILITIES: capabilities}) == {"elicitation": {}, "roots": {}}
    assert relayed_capabilities({KEY_CAPABILITIES: []}) == {}
