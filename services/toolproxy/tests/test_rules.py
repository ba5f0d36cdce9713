import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent_api.toolsconfig import (
    ApprovalDecision,
    ArgumentMatch,
    CallRate,
    CallRule,
    ToolsConfig,
    ToolsPolicy,
)
from agent_toolproxy.call import Call
from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import ApprovalDenied, ApprovalPending, CallDenied, RateExceeded, ToolNotReady
from agent_toolproxy.rules.approvals import MOST_WAITING, Approvals
from agent_toolproxy.rules.matching import LONGEST_VALUE_CHARS, find_rule
from agent_toolproxy.rules.rates import Rates
from agent_toolproxy.rules.rulebook import RuleBook


def rule(action: str, *matches: str, argument: str = "branch", tools: tuple[str, ...] = ("git__*",)) -> CallRule:
    where = (ArgumentMatch(argument=argument, matches=matches),) if matches else ()
    return CallRule(tools=tools, where=where, action=action)


@pytest.mark.parametrize(
    "matches, argument, arguments, denied",
    [
        (("main",), "branch", {"branch": "main"}, True),
        (("main",), "branch", {"branch": "Main"}, False),
        (("release/*", "main"), "branch", {"branch": "release/1"}, True),
        (("main",), "branch", {"branch": ["dev", "main"]}, True),
        (("main",), "branch", {"branch": [["dev"], [["main"]]]}, True),
        (("main",), "branch", {}, False),
        (("",), "branch", {}, True),
        (("",), "branch", {"branch": None}, True),
        (("",), "branch", {"branch": []}, True),
        (("*",), "branch", {}, True),
        (("true",), "force", {"force": True}, True),
        (("5",), "n", {"n": 5}, True),
        (("x",), "a.b", {"a": {"b": "x"}}, True),
        (("x",), "a.b", {"a": [{"b": "y"}, {"b": "x"}]}, True),
        (("x",), "a.b", {"a": "x"}, False),
        (("*secret*",), "a", {"a": {"deep": "a secret"}}, True),
        (("main",), "branch", {"branch": "x" * (LONGEST_VALUE_CHARS + 1)}, True),
        (("main",), "branch", {"branch": ["x"] * 5000}, True),
    ],
)
def test_a_rule_is_found_by_the_arguments(
    matches: tuple[str, ...], argument: str, arguments: dict[str, Any], *, denied: bool
) -> None:
    found = find_rule((rule("deny", *matches, argument=argument),), "git__push", arguments)
    assert (found is not None) is denied


@pytest.mark.parametrize(
    "value, allowed",
    [("dev", True), (["dev", "dev2"], True), (["dev", "main"], False), ("x" * 20_000, False), (None, False)],
)
def test_what_is_allowed_by_its_arguments_is_allowed_with_all_of_them(value: Any, *, allowed: bool) -> None:
    rules = (rule("allow", "dev*"), rule("deny"))
    found = find_rule(rules, "git__push", {"branch": value})
    assert found is not None
    assert (found.action == "allow") is allowed


def test_the_first_rule_decides_and_other_tools_are_left_alone() -> None:
    rules = (rule("allow", "dev"), rule("ask"), rule("deny", tools=("*",)))
    assert find_rule(rules, "git__push", {"branch": "main"}) is rules[1]
    assert find_rule(rules, "other", {}) is rules[2]
    assert find_rule(rules[:2], "other", {}) is None


def test_calls_are_counted_by_minute_and_day_and_over_a_restart(tmp_path: Path) -> None:
    now = [86_400.0 * 10]
    limits = (CallRate(tools=("a",), per_minute=2), CallRate(tools=("*",), per_day=3))
    rates = Rates(tmp_path / "counts", clock=lambda: now[0])
    for _ in range(2):
        rates.count(limits, "a")
    with pytest.raises(RateExceeded, match="2 times a minute"):
        rates.count(limits, "a")
    now[0] += 60.0
    rates.count(limits, "a")
    for _ in range(3):
        rates.count(limits, "b")
    again = Rates(tmp_path / "counts", clock=lambda: now[0])
    again.load()
    with pytest.raises(RateExceeded, match="3 times a day"):
        again.count(limits, "b")
    again.count(limits, "c")
    now[0] += 86_400.0
    again.count(limits, "b")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"day": "x"}', b'{"day": 1, "counts": []}', b"{" * 100_000])
def test_damaged_counts_stop_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counts").write_bytes(content)
    rates = Rates(tmp_path / "counts")
    rates.load()
    rates.count((CallRate(per_day=1),), "a")


class Desk:
    """A rule book that asks about every call, and the person at its desk."""

    def __init__(self, folder: Path, *, wait_s: float = 30, expiry_s: float = 3600) -> None:
        self.now = 1_000_000.0
        policy = ToolsPolicy(
            rules=(CallRule(tools=("*",), action="ask", reason="it costs money"),),
            approval_wait_seconds=wait_s,
            approval_expiry_seconds=expiry_s,
        )
        self._file = folder / "approvals"
        self._current = CurrentConfig(ToolsConfig(agent="a", policy=policy))
        self._decisions: list[ApprovalDecision] = []
        self.restart()

    def restart(self) -> None:
        self.approvals = Approvals(self._file, clock=lambda: self.now)
        self.approvals.load()
        self.book = RuleBook(self._current, Rates(self._file.with_name("counts")), self.approvals)
        self.approvals.decide(self._decisions)

    async def call(self, **arguments: Any) -> str:
        return await self.book.admit("pay", Call(arguments=arguments), str)

    def decide(self, decision: str) -> None:
        for each in self.approvals.requests():
            self._decisions.append(ApprovalDecision(request=each.id, hash=each.hash, decision=decision))
        self.approvals.decide(self._decisions)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_call_waits_and_is_carried_out_once(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    calls = [asyncio.create_task(desk.call(amount=5)) for _ in range(2)]
    await settle()
    assert [each.arguments for each in desk.approvals.requests()] == ["{'amount': 5}"]
    desk.decide("approved")
    async with asyncio.timeout(10):
        done, waiting = await asyncio.wait(calls, timeout=1)
    assert [each.result() for each in done] == ["asked"]
    assert len(desk.approvals.requests()) == 1  # the other one is another question
    desk.decide("approved")
    async with asyncio.timeout(10):
        assert await next(iter(waiting)) == "asked"


async def test_an_approval_is_of_these_arguments(tmp_path: Path) -> None:
    desk = Desk(tmp_path, wait_s=0)
    with pytest.raises(ApprovalPending, match="it costs money"):
        await desk.call(amount=5)
    desk.decide("approved")
    with pytest.raises(ApprovalPending):
        await desk.call(amount=500)
    assert await desk.call(amount=5) == "asked"
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)


async def test_it_survives_a_restart_and_is_used_once_all_the_same(tmp_path: Path) -> None:
    desk = Desk(tmp_path, wait_s=0)
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)
    before = desk.approvals.requests()
    desk.restart()
    assert desk.approvals.requests() == before
    desk.decide("approved")
    assert await desk.call(amount=5) == "asked"
    desk.restart()
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)


async def test_a_decision_about_another_call_is_none(tmp_path: Path) -> None:
    desk = Desk(tmp_path, wait_s=0)
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)
    request = desk.approvals.requests()[0]
    desk.approvals.decide([ApprovalDecision(request=request.id, hash="0" * 64, decision="approved")])
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)


async def test_a_denied_call_is_not_asked_about_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    waiting = asyncio.create_task(desk.call(amount=5))
    await settle()
    desk.decide("denied")
    async with asyncio.timeout(10):
        with pytest.raises(ApprovalDenied):
            await waiting
    with pytest.raises(ApprovalDenied):
        await desk.call(amount=5)
    assert desk.approvals.requests() == ()


async def test_an_approval_that_comes_too_late_is_none(tmp_path: Path) -> None:
    desk = Desk(tmp_path, wait_s=0, expiry_s=60)
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)
    late = desk.approvals.requests()[0]
    desk.now += 61
    assert desk.approvals.requests() == ()
    desk.approvals.decide([ApprovalDecision(request=late.id, hash=late.hash, decision="approved")])
    with pytest.raises(ApprovalDenied, match="timed out"):
        await desk.call(amount=5)
    with pytest.raises(ApprovalPending):
        await desk.call(amount=5)
    assert desk.approvals.requests()[0].id != late.id


async def test_each_call_that_expired_is_told_so_however_many_did(tmp_path: Path) -> None:
    desk = Desk(tmp_path, wait_s=0, expiry_s=60)
    for amount in (5, 6):
        with pytest.raises(ApprovalPending):
            await desk.call(amount=amount)
        desk.now += 40
    desk.now += 40
    for amount in (5, 6):
        with pytest.raises(ApprovalDenied, match="timed out"):
            await desk.call(amount=amount)


async def test_an_agent_cannot_flood_the_desk(tmp_path: Path) -> None:
    desk = Desk(tmp_path, wait_s=0)
    for amount in range(MOST_WAITING + 5):
        with pytest.raises(ApprovalPending):
            await desk.call(amount=amount)
    assert len(desk.approvals.requests()) == MOST_WAITING


async def test_an_approval_that_cannot_be_used_up_is_not_used(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "gone", wait_s=0)
    with pytest.raises(ToolNotReady):
        await desk.call(amount=5)


async def test_a_rule_that_denies_says_why(tmp_path: Path) -> None:
    policy = ToolsPolicy(rules=(CallRule(action="deny", reason="not on Fridays"),))
    current = CurrentConfig(ToolsConfig(agent="a", policy=policy))
    book = RuleBook(current, Rates(tmp_path / "c"), Approvals(tmp_path / "a"))
    with pytest.raises(CallDenied, match="not on Fridays"):
        await book.admit("pay", Call(arguments={}), str)
