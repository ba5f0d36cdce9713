import asyncio

import pytest
from libs.kube.tests.rig import Rig
from libs.kube.tests.virtual_time import in_virtual_time
from prometheus_client import CollectorRegistry

from agent_kube import (
    Done,
    Metrics,
    ObjectKey,
    Outcome,
    RequeueAfter,
    Retryable,
    Terminal,
)


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
    assert sample("workqueue_retries_total", **queue) == 3
    assert sample("workqueue_adds_total", **queue) == 5
    assert sample("workqueue_depth", **queue) == 0
    assert sample("workqueue_queue_duration_seconds_count", **queue) == 5
    assert sample("workqueue_work_duration_seconds_sum", **queue) == pytest.approx(5, abs=0.5)
