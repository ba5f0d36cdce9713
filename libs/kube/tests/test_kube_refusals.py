"""Scopes that the server refuses, and pages that are too large: neither may stop what has nothing to do with it."""

import asyncio
from typing import Any

from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.following import fast, following, names
from libs.kube.tests.kinds import WIDGETS, eventually, widget, widgets
from libs.kube.tests.rig import Rig
from libs.kube.tests.rig import widget as cached
from libs.kube.tests.virtual_time import in_virtual_time

from agent_kube import Forbidden, Store, Stores, WatchSettings
from agent_kube.runtime.health import Health

REFUSED = Forbidden("list widgets: no (403)")


def test_one_refused_scope_does_not_keep_the_others_waiting() -> None:
    stores = Stores([widgets()], namespaces=("a", "b"))
    [store] = stores
    store.replace("a", [], "1")
    assert not stores.synced
    assert store.forbid("b", REFUSED)
    assert not store.forbid("b", REFUSED)
    assert stores.synced
    assert stores.refusal("a") is None
    assert stores.refusal("b") is REFUSED
    assert Health(stores, []).unready() is None
    store.replace("b", [], "2")
    assert stores.refusal("b") is None


def test_without_any_scope_the_operator_is_not_ready_and_says_which_right_is_missing() -> None:
    stores = Stores([widgets()])
    [store] = stores
    store.replace("", [], "1")
    store.forbid("", REFUSED)
    assert Health(stores, []).unready() == "rights are missing: list widgets: no (403)"
    store.allow("")
    assert Health(stores, []).unready() is None


def test_an_object_of_a_refused_scope_waits_and_says_why_once() -> None:
    async def scenario() -> None:
        rig = Rig()
        store = rig.stores[rig.children]
        store.forbid("", REFUSED)
        rig.stores[rig.root].put("", cached("w"))
        async with rig:
            await asyncio.sleep(100)
            assert (rig.seen, rig.failures) == ([], [("w", REFUSED)])
            store.allow("")
            await asyncio.sleep(31)
        assert rig.names() == ["w"]

    in_virtual_time(scenario)


async def test_pages_shrink_until_they_are_small_enough(api: FakeApi) -> None:
    for number in range(8):
        api.create(WIDGETS, widget(f"w{number}", note="x" * 3000))
    store: Store[Any] = Store(widgets())
    async with following(api, store, settings=WatchSettings(page_bytes=8000)):
        await eventually(lambda: store.synced)
    limits = [int(call.query["limit"]) for call in api.called("list")]
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == 500
    assert limits[-1] in (1, 2)
    assert len(names(store)) == 8


async def test_a_single_object_is_listed_however_large_it_is(api: FakeApi) -> None:
    api.create(WIDGETS, widget("large", note="x" * 20_000))
    store: Store[Any] = Store(widgets())
    async with following(api, store, settings=WatchSettings(page_bytes=8000)):
        await eventually(lambda: store.synced)
    assert names(store) == ["large"]


async def test_what_its_source_does_not_keep_is_as_if_it_did_not_exist(api: FakeApi) -> None:
    api.create(WIDGETS, widget("kept"))
    api.create(WIDGETS, widget("other-1"))
    source = widgets(keeps=lambda found: found.metadata.name.startswith("kept"))
    store: Store[Any] = Store(source)
    seen: list[str] = []
    async with following(api, store, backoff=fast()):
        await eventually(lambda: store.synced)
        store.subscribe(lambda change: seen.append(change.latest.metadata.name))
        api.create(WIDGETS, widget("other-2"))
        api.remove(WIDGETS, "other-1")
        api.create(WIDGETS, widget("kept-2"))
        await eventually(lambda: names(store) == ["kept", "kept-2"])
    assert seen == ["kept-2"]
