"""When a key is not reconciled although it should be: own writes not seen yet, a write budget that is spent."""

import asyncio

import pytest
from libs.kube.tests.kinds import config_maps
from libs.kube.tests.rig import Rig, child, widget
from libs.kube.tests.virtual_time import in_virtual_time

from agent_kube import (
    Budget,
    Done,
    HotLoopError,
    ObjectKey,
    Outcome,
    PartialObject,
    Request,
    RequeueAfter,
    Settings,
    Stores,
)
from agent_kube.control.guard import HotLoopGuard
from agent_kube.control.request import Expectation
from agent_kube.objects import ObjectMeta


def test_key_rests_until_the_cache_shows_its_write() -> None:
    async def scenario() -> None:
        rig = Rig()

        def write_once(request: Request) -> Outcome:
            if len(rig.seen) == 1:
                request.writes.record(Expectation(rig.children, ObjectKey("ns", "c"), version=50))
            return Done()

        rig.answer = write_once
        rig.stores[rig.root].replace("", [widget("a", 2)], "2")
        async with rig:
            await asyncio.sleep(0.1)
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(2)
            assert len(rig.seen) == 1
            rig.stores[rig.children].put("", child("c", "a", 50))
            await asyncio.sleep(2)
        assert [round(at, 1) for at, _ in rig.seen] == [0, 2.2]

    in_virtual_time(scenario)


def test_own_status_write_ends_the_rest_when_it_arrives() -> None:
    async def scenario() -> None:
        rig = Rig()

        def write_once(request: Request) -> Outcome:
            if len(rig.seen) == 1:
                request.writes.record(Expectation(rig.root, ObjectKey("ns", "a"), version=50))
            return Done()

        rig.answer = write_once
        rig.stores[rig.root].replace("", [widget("a", 2)], "2")
        async with rig:
            await asyncio.sleep(0.1)
            rig.controller.enqueue(ObjectKey("ns", "a"))  # a child changed meanwhile
            await asyncio.sleep(1)
            assert len(rig.seen) == 1
            rig.stores[rig.root].put("", widget("a", 50))  # the same generation: no trigger of its own
            await asyncio.sleep(0.1)
            assert len(rig.seen) == 2

    in_virtual_time(scenario)


def test_write_that_never_shows_is_waited_for_no_longer_than_the_limit() -> None:
    async def scenario() -> None:
        rig = Rig(settings=Settings(lag_timeout_s=5))

        def write_once(request: Request) -> Outcome:
            if len(rig.seen) == 1:
                request.writes.record(Expectation(rig.children, ObjectKey("ns", "c"), version=50))
            return Done()

        rig.answer = write_once
        rig.stores[rig.root].replace("", [widget("a", 2)], "2")
        async with rig:
            await asyncio.sleep(0.1)
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(20)
        assert [round(at) for at, _ in rig.seen] == [0, 5]

    in_virtual_time(scenario)


def test_expected_deletion_is_met_by_absence_a_successor_or_its_beginning() -> None:
    source = config_maps()
    stores = Stores([source])
    expectation = Expectation(source, ObjectKey("ns", "c"), gone_uid="u-c")
    store = stores[source]
    store.replace("", [child("c", "a")], "1")
    assert not expectation.met(stores)
    store.put("", PartialObject(ObjectMeta(name="c", namespace="ns", uid="u-c", deletion_timestamp="now")))
    assert expectation.met(stores)
    store.put("", PartialObject(ObjectMeta(name="c", namespace="ns", uid="successor")))
    assert expectation.met(stores)
    store.replace("", [], "9")
    assert expectation.met(stores)


def test_fight_is_slowed_to_the_refill_and_shown_once_and_ended_by_an_edit() -> None:
    async def scenario() -> None:
        rig = Rig(settings=Settings(budget=Budget(base=10, per_child=0, window_s=100), settle_s=0))

        def write(request: Request) -> Outcome:
            request.writes.count += 1
            return RequeueAfter(0.1)  # an enemy answers each write at once

        rig.answer = write
        async with rig:
            rig.stores[rig.root].put("", widget("a", 2, generation=1))
            await asyncio.sleep(1000)
            early = len([at for at, _ in rig.seen if at < 10])
            late = len([at for at, _ in rig.seen if at > 500])
            assert early <= 12
            assert 40 <= late <= 60  # one per 10 s
            holds = [error for _, error in rig.failures]
            assert all(isinstance(error, HotLoopError) for error in holds)
            assert len(holds) >= 1
            before = len(rig.seen)
            rig.stores[rig.root].put("", widget("a", 3, generation=2))
            await asyncio.sleep(1)
            assert len(rig.seen) - before >= 8

    in_virtual_time(scenario)


def test_busy_object_that_writes_nothing_is_never_held() -> None:
    async def scenario() -> None:
        async with Rig(answer=lambda _request: RequeueAfter(0.1)) as rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(100)
        assert len(rig.seen) >= 900
        assert rig.failures == []

    in_virtual_time(scenario)


def test_budget_grows_with_children() -> None:
    key = ObjectKey("ns", "a")
    for children, allowed in ((0, 10), (6, 40)):
        guard = HotLoopGuard(Budget(base=10, per_child=5, window_s=100), clock=lambda: 0.0)
        count = 0
        while guard.blocked_s(key) == 0:
            guard.wrote(key, children)
            count += 1
        assert count == allowed
        assert guard.blocked_s(key) == pytest.approx(100 / allowed)


def test_refilled_bucket_is_forgotten() -> None:
    now = 0.0
    guard = HotLoopGuard(Budget(base=10, window_s=100), clock=lambda: now)
    guard.wrote(ObjectKey("ns", "a"), 1)
    now = 1000.0
    assert guard.blocked_s(ObjectKey("ns", "a")) == 0
    assert guard._buckets == {}
