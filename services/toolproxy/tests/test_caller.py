from typing import Any

import pytest

from agent_toolproxy.call import CallerRefused
from agent_toolproxy.mcp.caller import MOST_LOG_MESSAGES, MOST_QUESTIONS, BoundedCaller, answer_server
from agent_toolproxy.mcp.inflight import InFlight
from agent_toolproxy.mcp.link import Exchange

FORM = {"message": "?", "requestedSchema": {"type": "object"}}


class Listener:
    log_level = "info"

    def __init__(self, owner: object, refusal: Exception | None = None) -> None:
        self.owner = owner
        self.logged: list[dict[str, Any]] = []
        self.refusal = refusal

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if self.refusal:
            raise self.refusal
        return {"asked": method, **params}

    async def log(self, params: dict[str, Any]) -> None:
        self.logged.append(params)


async def test_questions_and_messages_are_counted() -> None:
    listener = Listener("a")
    bounded = BoundedCaller(listener)
    assert (bounded.owner, bounded.log_level) == ("a", "info")
    for _ in range(MOST_QUESTIONS):
        assert (await bounded.ask("elicitation/create", FORM))["message"] == "?"
    with pytest.raises(CallerRefused, match="more than"):
        await bounded.ask("elicitation/create", FORM)
    for _ in range(MOST_LOG_MESSAGES + 10):
        await bounded.log({"level": "info", "data": "x" * 99_999, "logger": "l" * 999, "more": 1})
    assert len(listener.logged) == MOST_LOG_MESSAGES
    assert len(listener.logged[0]["data"]) == 16 << 10
    assert len(listener.logged[0]["logger"]) == 200
    assert "more" not in listener.logged[0]


@pytest.mark.parametrize(
    "method,params",
    [
        ("elicitation/create", {}),
        ("elicitation/create", {"message": 7}),
        ("elicitation/create", {"message": "?", "requestedSchema": 7}),
        ("elicitation/create", {"message": "?", "mode": "url"}),
        ("elicitation/create", {"message": "x" * 300_000, "requestedSchema": {}}),
        ("sampling/createMessage", {"messages": 7}),
    ],
)
async def test_a_malformed_question_is_put_to_nobody(method: str, params: dict[str, Any]) -> None:
    with pytest.raises(CallerRefused):
        await BoundedCaller(Listener("a")).ask(method, params)


@pytest.mark.parametrize("params", [{}, {"level": "loud", "data": 1}, {"level": []}])
async def test_a_message_without_a_level_is_dropped(params: dict[str, Any]) -> None:
    listener = Listener("a")
    await BoundedCaller(listener).log(params)
    assert listener.logged == []


async def test_data_of_any_shape_is_bounded() -> None:
    listener = Listener("a")
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    for data in (deep, ["x" * 99_999], {"a": 1}, None):
        await BoundedCaller(listener).log({"level": "error", "data": data})
    assert [len(str(each["data"])) <= 16 << 10 for each in listener.logged] == [True] * 4
    assert listener.logged[2]["data"] == {"a": 1}


async def test_a_server_is_answered_whatever_it_asks() -> None:
    def request(method: str) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": FORM}

    assert (await answer_server(request("ping"), None))["result"] == {}
    for method in ("roots/list", "x"):
        assert (await answer_server(request(method), Listener("a")))["error"]["code"] == -32601
    assert "no one client" in (await answer_server(request("elicitation/create"), None))["error"]["message"]
    assert (await answer_server(request("elicitation/create"), Listener("a")))["result"]["message"] == "?"
    refusing = Listener("a", CallerRefused(-32601, "cannot"))
    assert (await answer_server(request("elicitation/create"), refusing))["error"]["message"] == "cannot"
    late = Listener("a", TimeoutError())
    assert (await answer_server(request("elicitation/create"), late))["error"]["code"] == -32603


def test_a_message_is_meant_for_the_only_client() -> None:
    flight, one, other = InFlight(), Listener("a"), Listener("b")

    def exchange(number: int, caller: Listener | None) -> Exchange:
        return Exchange({"jsonrpc": "2.0", "id": number, "method": "tools/call"}, caller=caller)

    assert flight.only_caller() is None
    with flight.track(exchange(1, None)), flight.track(exchange(2, one)), flight.track(exchange(3, one)):
        assert flight.only_caller() is one
        with flight.track(exchange(4, other)):
            assert flight.only_caller() is None
        assert flight.only_caller() is one
    assert flight.only_caller() is None
