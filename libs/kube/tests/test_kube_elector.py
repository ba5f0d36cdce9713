"""Rows 8 to 11 of the runtime's defect table, over HTTP with short leases."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import eventually

from agent_kube import Elector, LeadershipLost, LeaseTimes
from agent_kube.resources import LEASES
from agent_kube.timestamps import micro_time

TIMES = LeaseTimes(lease_s=3.0, renew_deadline_s=1.5, retry_s=0.1, margin_s=0.5, call_s=0.5)


@dataclass
class Candidate:
    """One instance: leads until told to end, and notes when it began and stopped."""

    elector: Elector
    leading: bool = False
    began_at: float = 0.0
    stopped_at: float = 0.0
    aborted: list[float] = field(default_factory=list)
    end: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    stubborn_s: float = 0.0

    async def lead(self) -> None:
        self.leading, self.began_at = True, time.monotonic()
        try:
            await self.end.wait()
            if self.error:
                raise self.error
        except asyncio.CancelledError:
            await asyncio.sleep(self.stubborn_s)
            raise
        finally:
            self.leading, self.stopped_at = False, time.monotonic()

    async def run(self) -> None:
        await self.elector.run(self.lead)


@asynccontextmanager
async def candidate(api: FakeApi, name: str, **options: Any) -> AsyncIterator[tuple[Candidate, asyncio.Task[None]]]:
    async with api.client() as client:
        aborted: list[float] = []
        elector = Elector(
            client,
            namespace="default",
            name="lock",
            identity=name,
            times=options.pop("times", TIMES),
            abort=lambda: aborted.append(time.monotonic()),
            **options,
        )
        made = Candidate(elector, aborted=aborted)
        task = asyncio.create_task(made.run())
        try:
            yield made, task
        finally:
            task.cancel()
            await asyncio.wait([task])


def spec(api: FakeApi) -> dict[str, Any]:
    value: dict[str, Any] = api.read(LEASES, "lock")["spec"]
    return value


async def test_first_leads_and_writes_a_lease_in_utc(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, _task):
        await eventually(lambda: a.leading)
        lease = spec(api)
    assert lease["holderIdentity"] == "a"
    assert lease["leaseDurationSeconds"] == 3
    assert lease["leaseTransitions"] == 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lease["renewTime"])
    written = datetime.fromisoformat(lease["renewTime"])
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)


def test_times_are_utc_wherever_the_process_runs() -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=9)))
    assert micro_time(moment) == "2026-01-01T03:00:00.000005Z"


async def test_second_waits_while_the_first_renews(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, _), candidate(api, "b") as (b, _):
        await eventually(lambda: a.leading or b.leading)
        await asyncio.sleep(TIMES.lease_s + 0.5)
        assert a.leading != b.leading
    assert len(api.called("replace", "leases")) > 5


async def test_ended_leader_releases_and_the_next_takes_over_at_once(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, task):
        await eventually(lambda: a.leading)
        async with candidate(api, "b") as (b, _):
            await asyncio.sleep(0.3)
            a.end.set()
            await task
            assert spec(api)["holderIdentity"] in ("", "b")
            await eventually(lambda: b.leading, timeout_s=TIMES.lease_s * 0.8)
            assert spec(api)["leaseTransitions"] == 1
            assert b.began_at >= a.stopped_at


async def test_cancelled_leader_stops_first_and_then_releases(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, task):
        a.stubborn_s = 0.3
        await eventually(lambda: a.leading)
        task.cancel()
        await asyncio.sleep(0.1)
        assert spec(api)["holderIdentity"] == "a"  # it still works
        await asyncio.wait([task])
        assert task.cancelled()
        lease = spec(api)
        assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == ("", 1)
        assert a.aborted == []


async def test_crash_of_the_leading_task_ends_the_election_and_releases(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, task):
        await eventually(lambda: a.leading)
        a.error = ZeroDivisionError("crash")
        a.end.set()
        with pytest.raises(ZeroDivisionError, match="crash"):
            await task
    assert spec(api)["holderIdentity"] == ""


@pytest.mark.parametrize("fault", [faults.hang, faults.reset, faults.refuse(500), faults.html_502])
async def test_leader_that_cannot_renew_stops_before_its_lease_ends(api: FakeApi, fault: Any) -> None:
    async with candidate(api, "a") as (a, task):
        await eventually(lambda: a.leading)
        api.fault(fault, verb="replace")
        last = api.called("replace")[-1].at if api.called("replace") else a.began_at
        with pytest.raises(LeadershipLost, match="could not be renewed for"):
            await task
        assert a.stopped_at - last < TIMES.lease_s
        assert a.aborted == []


async def test_short_outage_does_not_cost_the_leadership(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, _):
        await eventually(lambda: a.leading)
        api.fault(faults.refuse(500), verb="replace", times=2)
        await asyncio.sleep(1.0)
        assert a.leading
        assert len(api.called("replace")) > 4


async def test_never_two_leaders_when_the_first_is_cut_off(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, task):
        await eventually(lambda: a.leading)
        writes: list[str] = []

        async def only_b(request: Any, called: Any) -> Any:
            writes.append(called.body["spec"]["holderIdentity"])
            if called.body["spec"]["holderIdentity"] == "a":
                return await faults.reset(request, called)
            from aiohttp import web  # noqa: PLC0415

            return web.json_response(api._answer(request, called))

        api.fault(only_b, verb="replace")
        async with candidate(api, "b") as (b, _):
            await eventually(lambda: b.leading, timeout_s=20)
            assert not a.leading
            assert a.stopped_at < b.began_at
            with pytest.raises(LeadershipLost):
                await task
            assert spec(api)["leaseTransitions"] == 1


async def test_leader_that_does_not_stop_is_ended_hard(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, task):
        a.stubborn_s = 4.0
        await eventually(lambda: a.leading)
        api.fault(faults.refuse(500), verb="replace")
        cut = time.monotonic()
        await eventually(lambda: a.aborted, timeout_s=20)
        assert a.leading
        assert a.aborted[0] - cut <= TIMES.lease_s
        await asyncio.wait([task])


async def test_stolen_lease_is_noticed(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, task):
        await eventually(lambda: a.leading)
        api.edit(LEASES, "lock", {"spec": {"holderIdentity": "rival"}})
        with pytest.raises(LeadershipLost, match="taken by rival"):
            await task
    assert spec(api)["holderIdentity"] == "rival"  # not released: it is not ours


async def test_renewal_whose_answer_was_lost_is_no_loss(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, _):
        await eventually(lambda: a.leading)

        async def lose_answer(request: Any, called: Any) -> Any:
            api._answer(request, called)
            return await faults.reset(request, called)

        api.fault(lose_answer, verb="replace", times=1)
        await asyncio.sleep(1.0)
        assert a.leading


async def test_lease_with_a_wall_clock_far_off_is_judged_by_our_own_clock(api: FakeApi) -> None:
    """A holder whose clock is an hour behind is alive as long as it renews; one that stopped expires."""

    def behind() -> datetime:
        return datetime.now(UTC) - timedelta(hours=1)

    async with candidate(api, "a", now=behind) as (a, task):
        await eventually(lambda: a.leading)
        async with candidate(api, "b") as (b, _):
            await asyncio.sleep(1.5)
            assert not b.leading
            api.fault(faults.refuse(500), verb="replace", times=10_000).verb = "replace"
            started = time.monotonic()
            with pytest.raises(LeadershipLost):
                await task
            api.faults.clear()
            await eventually(lambda: b.leading, timeout_s=20)
            assert time.monotonic() - started >= TIMES.renew_deadline_s * 0.5


async def test_candidates_survive_faults_while_they_wait(api: FakeApi) -> None:
    api.fault(faults.refuse(500), verb="get", times=2)
    api.fault(faults.refuse(409, "Conflict"), verb="create", times=1)
    async with candidate(api, "a") as (a, _):
        await eventually(lambda: a.leading)


async def test_two_that_create_the_lease_together_do_not_both_lead(api: FakeApi) -> None:
    async with candidate(api, "a") as (a, _), candidate(api, "b") as (b, _), candidate(api, "c") as (c, _):
        await eventually(lambda: a.leading or b.leading or c.leading)
        await asyncio.sleep(0.5)
        assert [a.leading, b.leading, c.leading].count(True) == 1


async def test_leadership_is_told(api: FakeApi) -> None:
    told: list[bool] = []
    async with candidate(api, "a", on_change=told.append) as (a, task):
        await eventually(lambda: a.leading)
        a.end.set()
        await task
    assert told == [True, False]


@pytest.mark.parametrize(
    "broken", [lambda: LeaseTimes(renew_deadline_s=15), lambda: LeaseTimes(retry_s=10), lambda: LeaseTimes(margin_s=6)]
)
def test_lease_times_that_allow_two_leaders_are_refused(broken: Callable[[], LeaseTimes]) -> None:
    with pytest.raises(ValueError, match="lease times"):
        broken()
