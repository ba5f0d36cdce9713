"""Rows 1, 2, 3, 5 and 6 of the runtime's defect table: streams that break in every way."""

import asyncio
from typing import Any

import pytest
from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.following import following, names
from libs.kube.tests.kinds import (
    DEPLOYMENTS,
    WIDGETS,
    deployment,
    deployments,
    eventually,
    widget,
    widgets,
)

from agent_base.backoff import Backoff
from agent_kube import Store, WatchSettings
from agent_kube.cache.store import Change


async def test_stream_that_ends_at_once_is_reopened_with_growing_pauses(api: FakeApi) -> None:
    api.fault(faults.end_at_once, verb="watch")
    store = Store(widgets())
    async with following(api, store, backoff=Backoff(first_s=0.1, longest_s=10, chance=lambda: 0.5)):
        await asyncio.sleep(1.0)
    assert 2 <= len(api.called("watch")) <= 5  # pauses of 0.1, 0.2, 0.4, 0.8: the naive loop makes thousands
    assert len(api.called("list")) == 1


@pytest.mark.parametrize("page", [faults.html_502, faults.html_200])
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_html_is_an_error_and_no_event(api: FakeApi, page: Any, verb: str) -> None:
    api.create(WIDGETS, widget("kept"))
    changes: list[Change[Any]] = []
    store = Store(widgets())
    store.subscribe(changes.append)
    api.fault(page, verb=verb, times=3)
    async with following(api, store) as outcomes:
        api_was_seen = await eventually(lambda: outcomes.count("ServerFault") >= 3)
        assert api_was_seen
        await eventually(lambda: store.synced and len(api.called("watch")) >= 1)
    assert names(store) == ["kept"]
    assert [change.latest.metadata.name for change in changes] == ["kept"]


async def test_error_event_leads_to_a_list(api: FakeApi) -> None:
    store = Store(widgets())
    api.fault(faults.gone_event, verb="watch", times=1)
    async with following(api, store) as outcomes:
        await eventually(lambda: len(api.called("list")) == 2)
        await eventually(lambda: api.watchers)
    assert outcomes.count("ErrorEvent") == 1


async def test_410_to_the_watch_request_leads_to_a_list(api: FakeApi) -> None:
    store = Store(widgets())
    api.fault(faults.refuse(410, "Expired"), verb="watch", times=1)
    async with following(api, store) as outcomes:
        await eventually(lambda: len(api.called("list")) == 2)
        await eventually(lambda: api.watchers)
    assert outcomes.count("Expired") == 1


async def test_refused_version_leads_to_a_list(api: FakeApi) -> None:
    store = Store(widgets())
    api.fault(faults.refuse(400, "BadRequest"), verb="watch", times=1)
    async with following(api, store) as outcomes:
        await eventually(lambda: len(api.called("list")) == 2)
        await eventually(lambda: api.watchers)
    assert outcomes.count("Invalid") == 1


async def test_several_streams_without_an_event_lead_to_a_list(api: FakeApi) -> None:
    """After a restored backup the server waits for a version that lies in its past."""
    store = Store(widgets())
    fault = api.fault(faults.silence, verb="watch")
    async with following(api, store, settings=WatchSettings(silence_s=0.05)):
        await eventually(lambda: len(api.called("list")) == 2)
        fault.times = 0
        await eventually(lambda: api.watchers)
    assert 5 <= len(api.called("watch")) <= 7


async def test_silent_stream_is_left_and_resumed(api: FakeApi) -> None:
    api.create(WIDGETS, widget("a"))
    api.fault(faults.silence, verb="watch", times=1)
    store = Store(widgets())
    async with following(api, store, settings=WatchSettings(silence_s=0.2)) as outcomes:
        await eventually(lambda: api.called("watch"))
        api.create(WIDGETS, widget("b"))
        await eventually(lambda: len(store) == 2)
        assert "DeadlineExceeded" in outcomes
    assert len(api.called("list")) == 1
    first, second = api.called("watch")[:2]
    assert first.query["resourceVersion"] == second.query["resourceVersion"] == "101"


async def test_reset_stream_is_resumed_without_a_list(api: FakeApi) -> None:
    api.fault(faults.reset_after_start, verb="watch", times=2)
    store = Store(widgets())
    async with following(api, store) as outcomes:
        await eventually(lambda: api.watchers)
        api.create(WIDGETS, widget("late"))
        await eventually(lambda: len(store) == 1)
    assert outcomes.count("Unreachable") == 2
    assert len(api.called("list")) == 1


async def test_huge_line_leads_to_a_list(api: FakeApi) -> None:
    api.fault(faults.huge_line(300_000), verb="watch", times=1)
    store = Store(widgets())
    async with following(api, store, line_bytes=100_000) as outcomes:
        await eventually(lambda: len(api.called("list")) == 2)
        await eventually(lambda: api.watchers)
    assert outcomes.count("LineTooLong") == 1


async def test_five_mebibyte_line_is_no_problem(api: FakeApi) -> None:
    api.bookmark_s = 60
    store = Store(widgets())
    async with following(api, store, line_bytes=8 * 2**20):
        await eventually(lambda: api.watchers)
        api.create(WIDGETS, widget("big", filler="x" * 5 * 2**20))
        await eventually(lambda: len(store) == 1)
    assert len(api.called("list")) == 1


async def test_line_that_is_not_json_leads_to_a_list(api: FakeApi) -> None:
    api.fault(faults.garbage, verb="watch", times=1)
    store = Store(widgets())
    async with following(api, store):
        await eventually(lambda: len(api.called("list")) == 2)


async def test_object_that_does_not_fit_hides_no_other(api: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    api.create(DEPLOYMENTS, {**deployment("odd"), "metadata": {"name": "odd", "namespace": "default"}})
    api.edit(DEPLOYMENTS, "odd", {"status": {"readyReplicas": "many"}})
    fine = {**deployment("fine"), "metadata": {"name": "fine", "namespace": "default"}}
    api.create(DEPLOYMENTS, fine)
    store = Store(deployments())
    async with following(api, store) as outcomes:
        await eventually(lambda: store.synced)
        assert names(store) == ["fine"]
        await eventually(lambda: api.watchers)
        api.create(DEPLOYMENTS, {**fine, "metadata": {"name": "later", "namespace": "default"}})
        await eventually(lambda: names(store) == ["fine", "later"])
    assert "unreadable" in outcomes
    assert "does not fit its model" in caplog.text
