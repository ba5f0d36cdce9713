"""Rows 1 to 7 and 13 of the runtime's defect table, and the rules of lists and watches."""

import asyncio
from typing import Any

from libs.kube.tests import faults
from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.following import fast, following, names
from libs.kube.tests.kinds import (
    CONFIG_MAPS,
    WIDGETS,
    config_map,
    config_maps,
    deployments,
    eventually,
    widget,
    widgets,
)

from agent_kube import ObjectKey, Store, WatchSettings
from agent_kube.cache.store import Change
from agent_kube.cache.watcher import Watcher


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
    assert not store.served


async def test_missing_required_api_is_waited_for(api: FakeApi) -> None:
    api.resources.remove(WIDGETS)
    store = Store(widgets())
    async with following(api, store) as outcomes:
        await eventually(lambda: outcomes.count("NotFound") >= 2)
        assert not store.synced
        api.resources.append(WIDGETS)
        await eventually(lambda: store.synced)
        assert store.served


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
