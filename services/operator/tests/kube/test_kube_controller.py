"""What a controller does with changes and outcomes, on caches fed by hand and in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import pytest
from prometheus_client import CollectorRegistry
from services.operator.tests.kube.kinds import Widget, config_maps, widgets
from services.operator.tests.kube.virtual_time import in_virtual_time

from agent_operator.kube import (
    Budget,
    Controller,
    Done,
    HotLoopError,
    Metrics,
    ObjectKey,
    Outcome,
    PartialObject,
    Request,
    RequeueAfter,
    Retryable,
    Settings,
    Stores,
    Terminal,
    Waiting,
    current_request,
)
from agent_operator.kube.backoff import Backoff
from agent_operator.kube.guard import HotLoopGuard
from agent_operator.kube.objects import ObjectMeta, OwnerReference
from agent_operator.kube.request import Expectation
from agent_operator.kube.store import Change
from agent_operator.kube.triggers import is_edit

Answer = Callable[[Request], Outcome | Exception]


def widget(name: str, version: int = 1, **meta: Any) -> Widget:
    return Widget(ObjectMeta(name=name, namespace="ns", uid=f"u-{name}", resource_version=str(version), **meta))


def child(name: str, owner: str, version: int = 1, kind: str = "Widget") -> PartialObject:
    owners = (OwnerReference(uid=f"u-{owner}", kind=kind, name=owner, controller=True),)
    return PartialObject(
        ObjectMeta(name=name, namespace="ns", uid=f"u-{name}", resource_version=str(version), owner_references=owners)
    )


@dataclass
class Rig:
    """A controller over two stores; `seen` are (time, name) of its passes."""

    answer: Answer = lambda _request: Done()
    settings: Settings = field(default_factory=Settings)
    metrics: Metrics | None = None
    takes_s: float = 0.0
    seen: list[tuple[float, str]] = field(default_factory=list)
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    running: int = 0
    most: int = 0

    def __post_init__(self) -> None:
        self.root, self.children, self.others = widgets(), config_maps(), widgets()
        self.stores = Stores([self.root, self.children, self.others])
        for store in self.stores:
            store.replace("", [], "1")

    async def reconcile(self, request: Request) -> Outcome:
        assert current_request.get() is request
        self.seen.append((round(asyncio.get_running_loop().time() - self.started, 3), request.key.name))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.running -= 1
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def show(self, request: Request, error: Exception) -> None:
        self.failures.append((request.key.name, error))

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.started = loop.time()
        self.controller = Controller(
            self.reconcile,
            name="widget",
            stores=self.stores,
            root=self.root,
            owns=[self.children],
            watches=[(self.others, lambda obj: [ObjectKey("ns", f"mapped-{obj.metadata.name}")])],
            settings=self.settings,
            metrics=self.metrics,
            on_failure=self.show,
            clock=loop.time,
        )
        self.task = asyncio.create_task(self.controller.run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.controller.stop()
        await self.task

    def names(self) -> list[str]:
        return [name for _, name in self.seen]


def test_what_is_cached_is_reconciled_at_the_start() -> None:
    async def scenario() -> None:
        rig = Rig()
        rig.stores[rig.root].replace("", [widget("a"), widget("b")], "2")
        async with rig:
            await asyncio.sleep(1)
        assert sorted(rig.names()) == ["a", "b"]

    in_virtual_time(scenario)


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


def test_terminal_is_not_retried_until_the_object_changes() -> None:
    async def scenario() -> None:
        async with Rig(answer=lambda _request: Terminal("never")) as rig:
            rig.stores[rig.root].put("", widget("a", 2, generation=1))
            await asyncio.sleep(3600)
            assert len(rig.seen) == 1
            rig.stores[rig.root].put("", widget("a", 3, generation=2))
            await asyncio.sleep(3600)
        assert len(rig.seen) == 2
        assert len(rig.failures) == 2

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


# own writes


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


# hot loops


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


# back-off and metrics


def test_backoff_doubles_to_its_maximum_and_starts_over_after_calm() -> None:
    now = 0.0
    backoff = Backoff(clock=lambda: now, chance=lambda: 0.5)
    pauses = []
    for _ in range(8):
        pauses.append(backoff.next_s())
        now += pauses[-1]
    assert pauses == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    now += 119
    assert backoff.next_s() == 30
    now += 30 + 120
    assert backoff.next_s() == 0.8
    assert backoff.next_s(at_least_s=45) == 45


def test_backoff_is_spread() -> None:
    assert Backoff(chance=lambda: 0.0).next_s() == pytest.approx(0.4)
    assert Backoff(chance=lambda: 1.0).next_s() == pytest.approx(1.2)
    many = {Backoff().next_s() for _ in range(20)}
    assert len(many) > 10


def test_metrics_have_the_names_that_dashboards_know() -> None:
    registry = CollectorRegistry()
    answers: list[Outcome | Exception] = [Done(), Retryable("x"), Terminal("y"), KeyError("z"), RequeueAfter(100)]

    async def scenario() -> None:
        async with Rig(answer=lambda _request: answers.pop(0), metrics=Metrics(registry), takes_s=1) as rig:
            rig.controller.enqueue(ObjectKey("ns", "a"))
            await asyncio.sleep(0.5)
            assert sample("controller_runtime_active_workers", controller="widget") == 1
            assert sample("workqueue_longest_running_processor_seconds", **queue) == pytest.approx(0.5)
            assert sample("workqueue_unfinished_work_seconds", **queue) == pytest.approx(0.5)
            for _ in range(2):
                await asyncio.sleep(5)
                rig.controller.enqueue(ObjectKey("ns", "b"))
            await asyncio.sleep(20)

    def sample(name: str, /, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    queue = {"name": "widget", "controller": "widget"}
    in_virtual_time(scenario)
    for result, count in (("success", 1), ("error", 3), ("requeue_after", 1)):
        assert sample("controller_runtime_reconcile_total", controller="widget", result=result) == count
    assert sample("controller_runtime_reconcile_errors_total", controller="widget") == 3
    assert sample("controller_runtime_terminal_reconcile_errors_total", controller="widget") == 1
    assert sample("controller_runtime_reconcile_panics_total", controller="widget") == 1
    assert sample("controller_runtime_reconcile_time_seconds_count", controller="widget") == 5
    assert sample("controller_runtime_active_workers", controller="widget") == 0
    assert sample("workqueue_retries_total", **queue) == 2
    assert sample("workqueue_adds_total", **queue) == 5
    assert sample("workqueue_depth", **queue) == 0
    assert sample("workqueue_queue_duration_seconds_count", **queue) == 5
    assert sample("workqueue_work_duration_seconds_sum", **queue) == pytest.approx(5, abs=0.5)
