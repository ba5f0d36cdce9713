import asyncio
from typing import Any

import pytest

from agent_toolproxy.call import CallerRefused
from agent_toolproxy.serving.mcp import sessions as subject
from agent_toolproxy.serving.mcp.callers import can_answer, is_severe_enough
from agent_toolproxy.serving.mcp.sessions import ClientSession, Sessions
from agent_toolproxy.tools.servers.signals import Signals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Client:
    """What it is sent is kept; it answers when told."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


async def asked(session: ClientSession, client: Client, about: object = None) -> "asyncio.Task[Any]":
    task = asyncio.create_task(session.ask("elicitation/create", {"message": "?"}, client.send, about))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


async def test_an_answer_finds_its_question_and_no_other_session_can_give_it() -> None:
    one, other, client = ClientSession({}, Clock()), ClientSession({}, Clock()), Client()
    task = await asked(one, client)
    answer = {"jsonrpc": "2.0", "id": client.sent[0]["id"], "result": {"action": "accept"}}
    other.take_response(answer)
    for wrong in ({**answer, "id": "q9"}, {**answer, "id": []}, {**answer, "id": None}):
        one.take_response(wrong)
    await asyncio.sleep(0)
    assert not task.done()
    one.take_response(answer)
    assert await task == {"action": "accept"}
    one.take_response(answer)  # twice is once


@pytest.mark.parametrize(
    "reply", [{"error": {"code": 7, "message": "no"}}, {"error": {}}, {"result": 7}, {"error": {"message": "x" * 9000}}]
)
async def test_what_is_no_answer_is_a_refusal(reply: dict[str, Any]) -> None:
    session, client = ClientSession({}, Clock()), Client()
    task = await asked(session, client)
    session.take_response({"jsonrpc": "2.0", "id": client.sent[0]["id"], **reply})
    with pytest.raises(CallerRefused) as refusal:
        await task
    assert len(str(refusal.value)) <= 500


async def test_questions_are_bounded_and_end_with_their_call(monkeypatch: pytest.MonkeyPatch) -> None:
    session, client, call = ClientSession({}, Clock()), Client(), object()
    tasks = [await asked(session, client, call) for _ in range(subject.MOST_OPEN_QUESTIONS)]
    with pytest.raises(CallerRefused, match="wait for the client"):
        await session.ask("elicitation/create", {}, client.send, call)
    session.withdraw(object())
    assert not any(task.done() for task in tasks)
    session.withdraw(call)
    for task in tasks:
        with pytest.raises(CallerRefused, match="the call has ended"):
            await task
    monkeypatch.setattr(subject, "ANSWER_S", 0.01)
    with pytest.raises(TimeoutError):
        await session.ask("elicitation/create", {}, client.send, call)
    assert client.sent[-1]["method"] == "notifications/cancelled"
    assert session.is_idle


async def test_a_session_is_found_until_it_ends_or_makes_room() -> None:
    clock = Clock()
    sessions = Sessions(Signals(), clock)
    first = sessions.open({"capabilities": {"elicitation": {}, "experimental": {}}})
    assert first is not None
    assert first.capabilities == {"elicitation": {}}
    assert sessions.find(first.id) is first
    assert sessions.find("x") is sessions.find(None) is None
    assert sessions.end(first.id)
    assert not sessions.end(first.id)
    assert sessions.has_ended(first.id)
    assert not sessions.has_ended(None)
    made = [sessions.open({}) for _ in range(subject.MOST_SESSIONS)]
    kept, oldest = made[0], made[1]
    assert kept is not None
    assert oldest is not None
    kept.streams = 1
    assert sessions.open({}) is not None
    assert sessions.find(kept.id) is kept
    assert sessions.find(oldest.id) is None
    for session in made:
        if session is not None:
            session.streams = 1
    newest = sessions.open({})
    assert newest is not None
    newest.streams = 1
    while (more := sessions.open({})) is not None:
        more.streams = 1
    newest.streams = 0
    clock.now = subject.IDLE_S + 1
    assert sessions.open({}) is not None


async def test_a_call_is_cancelled_by_its_id() -> None:
    session = ClientSession({}, Clock())
    task = asyncio.create_task(asyncio.sleep(30))
    session.running["1"] = task
    others: tuple[object, ...] = (1, "2", None, [])
    for other in others:
        session.cancel(other)
    await asyncio.sleep(0)
    assert not task.done()
    session.cancel("1")
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "capabilities,method,params,expected",
    [
        ({}, "elicitation/create", {}, False),
        ({"elicitation": {}}, "elicitation/create", {}, True),
        ({"elicitation": {"form": {}}}, "elicitation/create", {"mode": "form"}, True),
        ({"elicitation": {"url": {}}}, "elicitation/create", {}, False),
        ({"elicitation": {}}, "elicitation/create", {"mode": "url"}, False),
        ({"elicitation": {"url": {}}}, "elicitation/create", {"mode": "url"}, True),
        ({"elicitation": 7}, "elicitation/create", {"mode": []}, False),
        ({"sampling": {}}, "sampling/createMessage", {}, True),
        ({"sampling": {}}, "sampling/createMessage", {"tools": []}, False),
        ({"sampling": {"tools": {}}}, "sampling/createMessage", {"tools": []}, True),
        ({"roots": {}}, "roots/list", {}, True),
        ({"sampling": {}, "elicitation": {}}, "other/method", {}, False),
    ],
)
def test_a_client_answers_what_it_has_declared(
    capabilities: dict[str, Any], method: str, params: dict[str, Any], expected: bool
) -> None:
    assert can_answer(capabilities, method, params) is expected


def test_levels_have_an_order() -> None:
    assert is_severe_enough("error", "info")
    assert not is_severe_enough("debug", "info")
    assert not is_severe_enough("emergency", None)
