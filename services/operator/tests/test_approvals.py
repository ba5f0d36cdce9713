"""What becomes of calls that wait for a person, and of what persons decided."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from services.operator.tests.operator_objects import pod, state

from agent_api.toolsreport import ApprovalRequest, ToolsReport
from agent_operator.objects import ApprovalObject, PodObject
from agent_operator.status.approvals import MOST_CLOSED, MOST_OPEN, MOST_PODS, ApprovalKeeper, decisions_of, plan_of
from agent_operator.status.reports import Answer
from agent_render.objects.podkeys import PodKeys

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
LATER, EARLIER = "2026-11-29T13:00:00Z", "2026-11-29T11:00:00Z"


def asked(number: int, *, digest: int = 1, expires: str = LATER) -> ApprovalRequest:
    return ApprovalRequest(
        id=f"{number:016x}", tool="git__push", hash=f"{digest:064x}", asked_at=EARLIER, expires_at=expires
    )


def approval(
    number: int, *, digest: int = 1, decision: str = "", state: str = "", given: int | None = None, expires: str = LATER
) -> ApprovalObject:
    raw: dict[str, Any] = {
        "metadata": {"name": f"a-{number}", "uid": f"u{number}", "creationTimestamp": f"2026-11-29T10:{number:02}:00Z"},
        "spec": {"request": f"{number:016x}", "hash": f"{digest:064x}", "expiresAt": expires, "decision": decision},
        "status": {"state": state, "request": "" if given is None else f"{given:016x}"},
    }
    return msgspec.convert(raw, ApprovalObject)


def verdicts(plan: Any) -> list[tuple[str, str, str]]:
    return [(each.approval.metadata.name, each.state, each.request[-1]) for each in plan.verdicts]


def test_a_waiting_call_becomes_one_object() -> None:
    plan = plan_of([], [asked(1), asked(2), asked(3, digest=3), asked(4, digest=4, expires=EARLIER)], NOW)
    assert [each.id[-1] for each in plan.new] == ["1", "3"]
    assert not plan_of([approval(1)], [asked(1)], NOW).new


def test_the_same_call_of_another_pod_joins_what_is_open() -> None:
    plan = plan_of([approval(1)], [asked(2)], NOW)
    assert (plan.new, plan.verdicts) == ((), ())


def test_an_approval_is_given_to_one_call_and_then_used_up() -> None:
    decided = approval(1, decision="Approve")
    assert verdicts(plan_of([decided], [asked(1), asked(2)], NOW)) == [("a-1", "Granted", "1")]
    assert verdicts(plan_of([decided], [asked(2), asked(3)], NOW)) == [("a-1", "Granted", "2")]
    granted = approval(1, decision="Approve", state="Granted", given=2)
    plan = plan_of([granted], [asked(1), asked(2), asked(3)], NOW)
    assert plan.verdicts == ()
    assert [each.id[-1] for each in plan.new] == ["3"]


def test_an_approval_waits_for_a_pod_that_is_restarting() -> None:
    decided = approval(1, decision="Approve")
    assert plan_of([decided], [], NOW).verdicts == ()
    assert verdicts(plan_of([decided], [asked(9)], NOW)) == [("a-1", "Granted", "9")]


def test_changed_arguments_are_another_call() -> None:
    plan = plan_of([approval(1, decision="Approve")], [asked(2, digest=2)], NOW)
    assert plan.verdicts == ()
    assert [each.id[-1] for each in plan.new] == ["2"]


def test_what_expires_is_no_approval_whatever_was_decided() -> None:
    for decision in ("", "Approve", "Deny"):
        plan = plan_of([approval(1, decision=decision, expires=EARLIER)], [asked(1)], NOW)
        assert verdicts(plan) == [("a-1", "Expired", "1")]
    assert verdicts(plan_of([approval(1, expires="soon")], [], NOW)) == [("a-1", "Expired", "1")]
    assert verdicts(plan_of([approval(1, expires="2099-01-01T00:00:00Z")], [], NOW)) == [("a-1", "Expired", "1")]


def test_a_denial_reaches_the_call_that_waits_now() -> None:
    assert verdicts(plan_of([approval(1, decision="Deny")], [asked(2)], NOW)) == [("a-1", "Denied", "2")]
    assert verdicts(plan_of([approval(1, decision="Deny")], [], NOW)) == [("a-1", "Denied", "1")]


def test_an_agent_cannot_fill_the_cluster() -> None:
    many = [asked(number, digest=number) for number in range(1, 2 * MOST_OPEN)]
    assert len(plan_of([], many, NOW).new) == MOST_OPEN
    open_ones = [approval(number, digest=number) for number in range(1, MOST_OPEN + 1)]
    assert not plan_of(open_ones, many, NOW).new
    closed = [approval(number % 60, state="Expired", expires=EARLIER) for number in range(MOST_CLOSED + 3)]
    assert [each.metadata.name for each in plan_of(closed, [], NOW).outdated] == ["a-0", "a-1", "a-2"]


def test_the_proxy_is_told_what_was_given_and_nothing_else() -> None:
    objects = [
        approval(1, decision="Approve"),
        approval(2, decision="Approve", state="Granted", given=7),
        approval(3, decision="Deny", state="Denied", given=3),
        approval(4, state="Expired", given=4),
    ]
    assert [(each["request"][-1], each["decision"]) for each in decisions_of(objects)] == [
        ("7", "approved"),
        ("3", "denied"),
    ]


class Proxies:
    """Reports of Pods, each given only when `expected` have been asked for at the same time."""

    def __init__(self, expected: int) -> None:
        self.asked: list[str] = []
        self._all = asyncio.Barrier(expected) if expected else None

    async def read(self, subject: PodObject, *_: Any, **__: Any) -> Answer[ToolsReport]:
        self.asked.append(subject.metadata.name)
        if self._all is not None:
            await self._all.wait()
        number = int(subject.metadata.name)
        return Answer(ToolsReport(agent="subject", ready=True, approvals=(asked(number),)))


def keeper(proxies: Any) -> ApprovalKeeper:
    unused: Any = None
    return ApprovalKeeper(unused, unused, proxies, field_manager="test", now=lambda: NOW)


def proxied(number: int, **status: Any) -> PodObject:
    return pod(name=str(number), init=(state("toolproxy", **status),), podIP="192.0.2.1")


async def test_running_proxies_are_asked_at_the_same_time_and_no_more_than_may_be() -> None:
    proxies = Proxies(MOST_PODS)
    pods = [proxied(number, running={}) for number in range(MOST_PODS + 5)]
    async with asyncio.timeout(60):
        found = await keeper(proxies)._waiting(pods, PodKeys.new())
    assert proxies.asked == [str(number) for number in range(MOST_PODS)]
    assert [each.id for each in found] == [asked(number).id for number in range(MOST_PODS)]


async def test_proxies_that_do_not_run_are_not_asked() -> None:
    proxies = Proxies(0)
    ended = [proxied(number, terminated={"exitCode": 0}) for number in range(MOST_PODS)]
    starting = proxied(97, waiting={"reason": "PodInitializing"})
    without = pod(name="98", podIP="192.0.2.1")
    assert await keeper(proxies)._waiting([*ended, starting, without], PodKeys.new()) == []
    assert proxies.asked == []
    assert len(await keeper(proxies)._waiting([*ended, proxied(99, running={})], PodKeys.new())) == 1
