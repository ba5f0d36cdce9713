"""Rows 1 to 7 and 13 of the runtime's defect table, and the rules of lists and watches."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from services.operator.tests.kube import faults
from services.operator.tests.kube.fake_api import FakeApi
from services.operator.tests.kube.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    WIDGETS,
    config_map,
    config_maps,
    deployment,
    deployments,
    eventually,
    widget,
    widgets,
)

from agent_operator.kube import ObjectKey, Store, WatchSettings
from agent_operator.kube.backoff import Backoff
from agent_operator.kube.store import Change
from agent_operator.kube.watcher import Watcher


def fast() -> Backoff:
    return Backoff(initial_s=0.01, maximum_s=0.1)


@asynccontextmanager
async def following(
    api: FakeApi,
    store: Store[Any],
    *,
    scope: str = "",
    settings: WatchSettings | None = None,
    backoff: Backoff | None = None,
    line_bytes: int = 2**20,
) -> AsyncIterator[list[str]]:
    outcomes: list[str] = []
    async with api.client(line_bytes=line_bytes) as client:
        watcher = Watcher(
            client,
            store,
            scope,
            settings=settings,
            backoff=backoff or fast(),
            observe=lambda _resource, outcome: outcomes.append(outcome),
        )
        task = asyncio.create_task(watcher.run())
        try:
            yield outcomes
        finally:
            task.cancel()
            await asyncio.wait([task])


def names(store: Store[Any]) -> list[str]:
    return sorted(obj.metadata.name for obj in store.items())


async def test_lists_in_pages_then_follows(api: FakeApi) -> None:
    for number in range(7):
        api.create(WIDGETS, widget(f"w{number}"))
    store = Store(widgets())
    async with following(api, store, settings=WatchSettings(page_size=3)):
        await eventually(lambda: store.synced)
        assert [call.query.get("limit") for call in api.called("list")] == ["3", "3", "3"]
        api.create(WIDGETS, widget("new", size=1))
        await eventually(lambda: len(store) == 8)
        api.edit(WIDGETS, "new", {"spec": {"size": 2}})
        await eventually(lambda: b'"size": 2' in bytes(store.get(ObjectKey("default", "new")).spec))  # type: ignore[union-attr]
        api.remove(WIDGETS, "w0")
        await eventually(lambda: len(store) == 7)


async def test_watch_asks_for_bookmarks_and_a_random_lifetime(api: FakeApi) -> None:
    store = Store(widgets())
    async with following(api, store):
        [watch] = await eventually(lambda: api.called("watch"))
    assert watch.query["allowWatchBookmarks"] == "true"
    assert 240 <= int(watch.query["timeoutSeconds"]) <= 290
    assert watch.query["resourceVersion"] == "100"


async def test_bookmark_moves_the_version_on(api: FakeApi) -> None:
    api.bookmark_s = 0.05
    store = Store(widgets())
    async with following(api, store):
        await eventually(lambda: store.synced)
        api.create(CONFIG_MAPS, config_map("other"))
        await eventually(lambda: store.version("default") == api.storage.version)


async def test_stream_that_ends_at_once_is_reopened_with_growing_pauses(api: FakeApi) -> None:
    api.fault(faults.end_at_once, verb="watch")
    store = Store(widgets())
    async with following(api, store, backoff=Backoff(initial_s=0.1, maximum_s=10, chance=lambda: 0.5)):
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


async def test_expired_version_is_relisted_and_missed_deletions_are_told(api: FakeApi) -> None:
    for name in ("stays", "goes", "changes"):
        api.create(WIDGETS, widget(name))
    store = Store(widgets())
    changes: list[Change[Any]] = []
    async with following(api, store):
        await eventually(lambda: api.watchers)
        store.subscribe(changes.append)
        fault = api.fault(faults.silence, verb="watch")
        api.watchers.clear()  # nobody tells the running watch what happens now
        await _break_streams(api)
        api.remove(WIDGETS, "goes")
        api.edit(WIDGETS, "changes", {"spec": {"size": 2}})
        api.create(WIDGETS, widget("comes"))
        api.storage.compact()
        fault.times = 0
        await eventually(lambda: names(store) == ["changes", "comes", "stays"])
        await eventually(lambda: len(changes) == 3)
    told = {change.latest.metadata.name: (change.old is None, change.new is None) for change in changes}
    assert told == {"goes": (False, True), "changes": (False, False), "comes": (True, False)}


async def _break_streams(api: FakeApi) -> None:
    """A server restart on the same port: every connection is gone."""
    await api.stop()
    await api.__aenter__()


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


async def test_expired_continue_token_is_answered_by_one_unpaged_list(api: FakeApi) -> None:
    for number in range(5):
        api.create(WIDGETS, widget(f"w{number}"))
    pages = 0

    async def expire_second(request: Any, called: Any) -> Any:
        nonlocal pages
        pages += 1
        if "continue" in called.query:
            return await faults.refuse(410, "Expired")(request, called)
        fault.times = 0 if pages > 1 else fault.times
        from aiohttp import web  # noqa: PLC0415

        return web.json_response(api._list(request, called))

    fault = api.fault(expire_second, verb="list")
    store = Store(widgets())
    async with following(api, store, settings=WatchSettings(page_size=2)):
        await eventually(lambda: store.synced)
    assert len(store) == 5
    assert [call.query.get("limit") for call in api.called("list")] == ["2", "2", None]


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


async def test_retry_after_is_obeyed(api: FakeApi) -> None:
    api.fault(faults.refuse(429, "TooManyRequests", retry_after_s=1), verb="list", times=1)
    store = Store(widgets())
    async with following(api, store):
        await eventually(lambda: store.synced)
    first, second = api.called("list")
    assert second.at - first.at >= 1.0


async def test_missing_optional_api_counts_as_empty(api: FakeApi) -> None:
    api.resources.remove(WIDGETS)
    store = Store(widgets(optional=True))
    async with following(api, store):
        await eventually(lambda: store.synced)
    assert len(store) == 0


async def test_missing_required_api_is_waited_for(api: FakeApi) -> None:
    api.resources.remove(WIDGETS)
    store = Store(widgets())
    async with following(api, store) as outcomes:
        await eventually(lambda: outcomes.count("NotFound") >= 2)
        assert not store.synced
        api.resources.append(WIDGETS)
        await eventually(lambda: store.synced)


async def test_namespaced_scopes_and_selectors_see_only_theirs(api: FakeApi) -> None:
    store = Store(widgets(selector="shard=1"), ("one", "two"))
    for namespace in ("one", "two", "three"):
        for shard in ("1", "2"):
            manifest = widget(f"w{shard}", namespace)
            manifest["metadata"]["labels"] = {"shard": shard}
            api.create(WIDGETS, manifest)
    async with following(api, store, scope="one"):
        await eventually(lambda: len(store) == 1)
        assert not store.synced
        async with following(api, store, scope="two"):
            await eventually(lambda: store.synced)
    assert {str(obj.key) for obj in store.items()} == {"one/w1", "two/w1"}


async def test_metadata_only_kinds_transfer_metadata_only(api: FakeApi) -> None:
    api.create(CONFIG_MAPS, config_map("a", secret="value"))
    store = Store(config_maps())
    async with following(api, store):
        await eventually(lambda: store.synced)
        [stored] = store.items()
        assert stored.metadata.name == "a"
        api.create(CONFIG_MAPS, config_map("b"))
        await eventually(lambda: len(store) == 2)


async def test_watch_list_streams_the_initial_state(api: FakeApi) -> None:
    api.watch_list = True
    for number in range(3):
        api.create(WIDGETS, widget(f"w{number}"))
    store = Store(widgets())
    async with following(api, store, settings=WatchSettings(stream_lists=True)):
        await eventually(lambda: store.synced)
        assert len(store) == 3
        api.create(WIDGETS, widget("live"))
        await eventually(lambda: len(store) == 4)
    assert api.called("list") == []


async def test_refused_watch_list_falls_back_to_pages(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    store = Store(widgets())
    async with following(api, store, settings=WatchSettings(stream_lists=True)):
        await eventually(lambda: store.synced and api.watchers)
    assert len(store) == 1
    assert len(api.called("list")) == 1


async def test_watches_take_no_connection_from_calls(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    async with api.client(connections=1) as client:
        stores = [Store(source) for source in (widgets(), config_maps(), deployments())]
        watchers = [Watcher(client, store, "", backoff=fast()) for store in stores]
        tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
        await eventually(lambda: len(api.watchers) == 3)
        async with asyncio.timeout(2):
            await client.get(WIDGETS, ObjectKey("default", "w"))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
