"""What a controller does with changes and outcomes, on caches fed by hand and in virtual time."""

import asyncio

import pytest
from libs.kube.tests.kinds import Widget
from libs.kube.tests.rig import Rig, child, widget
from libs.kube.tests.virtual_time import in_virtual_time

from agent_kube import (
    Controller,
    Done,
    ObjectKey,
    Outcome,
    Request,
    RequeueAfter,
    Retryable,
    Settings,
    Terminal,
    Waiting,
)
from agent_kube.cache.store import Change
from agent_kube.control.triggers import is_edit
from agent_kube.objects import ObjectMeta


def test_what_is_cached_is_reconciled_at_the_start() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.stores[rig.root].replace("", [widget("a"), widget("b")], "2")
        async with rig:
            await asyncio.sleep(1)
        assert sorted(rig.names()) == ["a", "b"]

    in_virtual_time(scenario)


async def test_passes_that_wait_for_nothing_let_others_in_between() -> None:
    """Thousands in a row, as after a takeover, took longer than a lease lasts."""
    rig = Rig(settings=Settings(workers=4))
    rig.stores[rig.root].replace("", [widget(f"w{number}") for number in range(400)], "2")
    turns = 0
    async with asyncio.timeout(30), rig:
        while len(rig.names()) < 400:
            await asyncio.sleep(0)
            turns += 1
    assert turns >= 400 // 4


def test_generation_and_deletion_trigger_and_status_does_not() -> None:
    async def scenario() -> None:
        async with Rig() as rig:
            store = rig.stores[rig.root]
            store.put("", widget("a", 2, generation=1))
            await asyncio.sleep(1)
            store.put("", widget("a", 3, generation=1))
            store.put("", widget("a", 4, generation=1, labels={"x": "y"}))
            await asyncio.sleep(1)
            assert rig.names() == ["a"]
            store.put("", widget("a", 5, generation=2))
            await asyncio.sleep(1)
            store.put("", widget("a", 6, generation=2, deletion_timestamp="now"))
            await asyncio.sleep(1)
            store.remove("", widget("a", 7, generation=2))
            await asyncio.sleep(1)
        assert rig.names() == ["a"] * 4

    in_virtual_time(scenario)


def test_labels_trigger_when_asked_to() -> None:
    old, new = widget("a", 1), widget("a", 2, labels={"x": "y"})
    assert is_edit(Change(old, new), metadata=True)
    assert not is_edit(Change(old, new), metadata=False)
    assert is_edit(Change(old, widget("a", 2, annotations={"x": "y"})), metadata=True)


def test_recreated_object_of_the_same_generation_triggers() -> None:
    old = Widget(ObjectMeta(name="a", uid="1", generation=1))
    assert is_edit(Change(old, Widget(ObjectMeta(name="a", uid="2", generation=1))), metadata=False)


def test_children_trigger_their_owner_once_per_burst() -> None:
    async def scenario() -> None:
        async with Rig(settings=Settings(settle_s=0.1)) as rig:
            for number in range(10):
                rig.stores[rig.children].put("", child(f"c{number}", "a", number))
            rig.stores[rig.children].put("", child("foreign", "b", kind="Other"))
            await asyncio.sleep(1)
            assert rig.seen == [(0.1, "a")]
            rig.stores[rig.children].remove("", child("c1", "a", 20))
            await asyncio.sleep(1)
        assert rig.names() == ["a", "a"]

    in_virtual_time(scenario)


def test_child_that_changes_hands_triggers_both_owners() -> None:
    async def scenario() -> None:
        async with Rig() as rig:
            rig.stores[rig.children].put("", child("c", "a", 1))
            await asyncio.sleep(1)
            rig.stores[rig.children].put("", child("c", "b", 2))
            await asyncio.sleep(1)
        assert sorted(rig.names()) == ["a", "a", "b"]

    in_virtual_time(scenario)


def test_mapper_triggers() -> None:
    async def scenario() -> None:
        async with Rig() as rig:
            rig.stores[rig.others].put("", widget("x"))
            await asyncio.sleep(1)
        assert rig.names() == ["mapped-x"]

    in_virtual_time(scenario)


def test_never_more_at_once_than_workers_and_no_key_twice() -> None:
    async def scenario() -> None:
        rig = Rig(settings=Settings(workers=3), takes_s=1)
        rig.stores[rig.root].replace("", [widget(f"w{number}") for number in range(9)], "2")
        async with rig:
            await asyncio.sleep(0.5)
            assert rig.running == 3
            rig.controller.enqueue(ObjectKey("ns", rig.names()[0]))
            await asyncio.sleep(10)
        assert rig.most == 3
        assert len(rig.seen) == 10

    in_virtual_time(scenario)


def test_live_edit_overtakes_the_initial_list() -> None:
    async def scenario() -> None:
        rig = Rig(settings=Settings(workers=1), takes_s=1)
        rig.stores[rig.root].replace("", [widget(f"w{number}") for number in range(5)], "2")
        async with rig:
            await asyncio.sleep(0.5)
            rig.stores[rig.root].put("", widget("live", 3))
            await asyncio.sleep(10)
        assert rig.names()[1] == "live"

    in_virtual_time(scenario)


def test_requeue_and_waiting_come_again_without_counting_as_failures() -> None:
    answers: list[Outcome | Exception] = [RequeueAfter(10), Waiting("for a volume", after_s=5), Done()]

    async def scenario() -> None:
        async with Rig(answer=lambda _request: answers.pop(0)) as rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(100)
        assert [at for at, _ in rig.seen] == [0, 10, 15]
        assert rig.failures == []

    in_virtual_time(scenario)


def test_retryable_backs_off_per_key_and_obeys_the_server() -> None:
    answers: list[Outcome | Exception] = [
        Retryable("one"),
        Retryable("two"),
        Retryable("three", retry_after_s=60),
        Done(),
        Retryable("again"),
        Done(),
    ]

    async def scenario() -> None:
        async with Rig(answer=lambda _request: answers.pop(0)) as rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(300)
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(300)
        at = [at for at, _ in rig.seen]
        assert at[1] - at[0] <= 0.375
        assert at[2] - at[1] <= 0.75
        assert at[3] - at[2] == pytest.approx(60)
        assert at[5] - at[4] <= 0.375
        assert [str(error) for _, error in rig.failures] == ["one", "two", "three", "again"]

    in_virtual_time(scenario)


def test_failure_after_progress_is_retried_as_soon_as_the_first() -> None:
    async def scenario() -> None:
        def progress_and_fail(request: Request) -> Outcome | Exception:
            request.writes.count += 1
            return Retryable("later") if len(rig.seen) < 8 else Done()

        rig = Rig(answer=progress_and_fail)
        async with rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(10)
        at = [at for at, _ in rig.seen]
        assert len(at) == 8
        assert at[-1] <= 7 * 0.375

    in_virtual_time(scenario)


def test_what_is_refused_is_tried_again_rarely_and_at_once_when_it_changes() -> None:
    async def scenario() -> None:
        async with Rig(answer=lambda _request: Terminal("never")) as rig:
            rig.stores[rig.root].put("", widget("a", 2, generation=1))
            await asyncio.sleep(29)
            assert len(rig.seen) == 1
            await asyncio.sleep(3600)
            assert 10 < len(rig.seen) < 40
            tried = len(rig.seen)
            rig.stores[rig.root].put("", widget("a", 3, generation=2))
            await asyncio.sleep(1)
        assert len(rig.seen) == tried + 1
        assert len(rig.failures) == len(rig.seen)

    in_virtual_time(scenario)


def test_unforeseen_exception_is_logged_with_its_trace_and_retried(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Outcome | Exception] = [ZeroDivisionError("oops"), Done()]

    async def scenario() -> None:
        async with Rig(answer=lambda _request: answers.pop(0)) as rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(10)
        assert len(rig.seen) == 2

    in_virtual_time(scenario)
    assert "ZeroDivisionError: oops" in caplog.text


def test_failing_failure_hook_does_not_end_the_worker() -> None:
    async def scenario() -> None:
        rig = Rig(answer=lambda _request: Terminal("never"), settings=Settings(workers=1))

        async def broken(_request: Request, _error: Exception) -> None:
            raise RuntimeError

        rig.show = broken  # type: ignore[method-assign,assignment]
        async with rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            rig.controller.enqueue(ObjectKey("ns", "b"))
            await asyncio.sleep(1)
        assert rig.names() == ["a", "b"]

    in_virtual_time(scenario)


def test_endless_reconcile_is_cut_off_and_retried() -> None:
    async def scenario() -> None:
        rig = Rig(takes_s=1000, settings=Settings(timeout_s=60, workers=1))
        async with rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(60.2)
            rig.takes_s = 0
            await asyncio.sleep(60)
        [(_, error), *_] = rig.failures
        assert isinstance(error, Retryable)
        assert "longer than 60 s" in str(error)
        assert rig.seen[1][0] <= 60.4

    in_virtual_time(scenario)


def test_cancellation_from_within_does_not_lose_the_worker() -> None:
    async def scenario() -> None:
        rig = Rig(settings=Settings(workers=1))

        def cancel(_request: Request) -> Outcome:
            raise asyncio.CancelledError

        rig.answer = cancel
        async with rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(0.01)
            rig.answer = lambda _request: Done()
            await asyncio.sleep(10)
        assert len(rig.seen) == 2

    in_virtual_time(scenario)


def test_stop_lets_running_reconciles_end_and_starts_no_more() -> None:
    async def scenario() -> None:
        rig = Rig(takes_s=5, settings=Settings(workers=2))
        rig.stores[rig.root].replace("", [widget(f"w{number}") for number in range(10)], "2")
        async with rig:
            await asyncio.sleep(1)
        assert len(rig.seen) == 2
        assert rig.running == 0

    in_virtual_time(scenario)


def test_stop_before_the_start_is_kept() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.stores[rig.root].replace("", [widget("a")], "2")
        controller = Controller(rig.reconcile, name="w", stores=rig.stores, root=rig.root)
        controller.enqueue(ObjectKey("ns", "a"))
        controller.stop()
        await controller.run()
        assert rig.seen == []

    in_virtual_time(scenario)
