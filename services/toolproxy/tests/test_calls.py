from typing import Any

from agent_toolproxy.serving.mcp.calls import relayed_capabilities, throttle


async def test_progress_grows_and_is_not_too_frequent() -> None:
    sent: list[Any] = []
    now = [0.0]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message["params"]["progress"])

    listen = throttle("t", send, clock=lambda: now[0])
    for step in range(30):
        await listen({"progress": step, "total": 99})
    assert sent == list(range(10))
    for at, progress in ((1, 40), (2, 40), (3, 1), (4, 41), (4.001, 99)):
        now[0] = at
        await listen({"progress": progress, "total": 99})
    assert sent[10:] == [40, 41, 99]


def test_only_what_can_be_relayed_is_passed_on() -> None:
    capabilities: dict[str, Any] = {"elicitation": {}, "roots": {}, "extensions": {"x": {}}, "experimental": {}}
    assert relayed_capabilities(capabilities) == {"elicitation": {}, "roots": {}}
    assert relayed_capabilities([]) == {}
