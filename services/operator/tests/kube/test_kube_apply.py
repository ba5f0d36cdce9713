import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from services.operator.tests.kube import faults
from services.operator.tests.kube.fake_api import FakeApi
from services.operator.tests.kube.fake_storage import _merged
from services.operator.tests.kube.kinds import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MANAGER,
    MARK,
    WIDGETS,
    Widget,
    config_map,
    config_maps,
    deployment,
    deployments,
    eventually,
    widget,
    widgets,
)

from agent_operator.kube import (
    Applier,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ObjectKey,
    Occupied,
    Request,
    Source,
    Stores,
    Unreachable,
)
from agent_operator.kube.backoff import Backoff
from agent_operator.kube.ledger import shape_of
from agent_operator.kube.merge import merge_patch
from agent_operator.kube.objects import digest_manifest
from agent_operator.kube.watcher import Watcher


@dataclass
class World:
    """Synced caches and an applier on them; `owner` is a cached Widget."""

    api: FakeApi
    stores: Stores
    applier: Applier

    @property
    def owner(self) -> Widget:
        [root] = [store for store in self.stores if store.source.resource == WIDGETS]
        owner = root.get(ObjectKey("default", "w"))
        assert isinstance(owner, Widget)
        return owner

    def request(self) -> Request:
        return Request(ObjectKey("default", "w"), "id")

    async def apply(self, *children: Any) -> Any:
        request = self.request()
        applied = await self.applier.apply(request, self.owner, children)
        await self.caught_up(request)
        return applied

    async def caught_up(self, request: Request) -> None:
        await eventually(lambda: all(expectation.met(self.stores) for expectation in request.writes.expected))

    def source(self, resource: Any) -> Any:
        return next(store.source for store in self.stores if store.source.resource == resource)


@asynccontextmanager
async def world(api: FakeApi, client: Client, maps: Source[Any] | None = None) -> AsyncIterator[World]:
    root = widgets()
    stores = Stores([root, deployments(), maps or config_maps()])
    applier = Applier(client, stores, root=root, field_manager=MANAGER, mark=MARK)
    watchers = [Watcher(client, store, "", backoff=Backoff(initial_s=0.01)) for store in stores]
    tasks = [asyncio.create_task(watcher.run()) for watcher in watchers]
    try:
        await stores.wait_synced()
        yield World(api, stores, applier)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.fixture
async def here(api: FakeApi) -> AsyncIterator[World]:
    api.create(WIDGETS, widget("w"))
    async with api.client() as client, world(api, client) as entered:
        yield entered


async def test_children_are_created_owned_and_marked(here: World) -> None:
    applied = await here.apply(config_map("c", a="1"), deployment("d"))
    assert (applied.sent, applied.unchanged, applied.refused) == (2, 0, [])
    metadata = here.api.read(DEPLOYMENTS, "d")["metadata"]
    [owner] = metadata["ownerReferences"]
    assert owner == {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "name": "w",
        "uid": here.owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert metadata["namespace"] == "default"
    assert len(metadata["annotations"][MARK]) == 16
    [one, two] = here.api.called("create")
    assert [one.plural, two.plural] == ["configmaps", "deployments"]
    assert one.query == {"fieldManager": MANAGER}
    assert "status" not in two.body
    await here.apply(config_map("c", a="2"), deployment("d"))
    last = here.api.called("patch")[-1]
    assert last.query == {"fieldManager": MANAGER, "force": "true"}
    assert last.content_type == "application/apply-patch+yaml"


async def test_nothing_is_sent_when_nothing_changes(here: World) -> None:
    children = (config_map("c", a="1"), deployment("d"))
    await here.apply(*children)
    here.api.calls.clear()
    for _ in range(50):
        applied = await here.apply(*children)
        assert (applied.sent, applied.unchanged) == (0, 2)
    assert here.api.writes() == []


async def test_only_the_changed_child_is_sent(here: World) -> None:
    await here.apply(config_map("c", a="1"), deployment("d"))
    await here.apply(config_map("c", a="1"), deployment("d", image="nginx:1"))
    here.api.calls.clear()
    await here.apply(config_map("c", a="1"), deployment("d", image="nginx:2"))
    assert [call.plural for call in here.api.writes()] == ["deployments"]
    assert here.api.read(DEPLOYMENTS, "d")["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"


async def test_field_that_is_no_longer_rendered_is_removed(here: World) -> None:
    await here.apply(config_map("c", a="1", b="2", c="3"))
    await here.apply(config_map("c", a="1", b="2"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "1", "b": "2"}
    await here.apply(config_map("c", a="1"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "1"}
    owners = {(entry["manager"], entry["operation"]) for entry in _managed(here, CONFIG_MAPS, "c")}
    assert owners == {(MANAGER, "Apply")}


async def test_claim_that_loses_a_race_is_tried_again(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.fault(faults.refuse(409, "Conflict"), verb="patch", times=3)
    await here.apply(config_map("c", a="2"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "2"}


async def test_claim_that_loses_every_race_is_left_to_the_next_pass(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.fault(faults.refuse(409, "Conflict"), verb="patch", times=4)
    with pytest.raises(Conflict):
        await here.apply(config_map("c", a="2"))
    await here.apply(config_map("c", a="2"))
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "2"}


async def test_drift_in_an_owned_field_is_undone(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.edit(CONFIG_MAPS, "c", {"data": {"a": "tampered"}})
    await eventually(lambda: _version(here, CONFIG_MAPS, "c") == here.api.storage.version)
    applied = await here.apply(config_map("c", a="1"))
    assert applied.sent == 1
    assert here.api.read(CONFIG_MAPS, "c")["data"] == {"a": "1"}
    here.api.calls.clear()
    await here.apply(config_map("c", a="1"))
    assert here.api.writes() == []


async def test_deleted_child_is_made_again(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.remove(CONFIG_MAPS, "c")
    await eventually(lambda: not len(here.stores[here.source(CONFIG_MAPS)]))
    await here.apply(config_map("c", a="1"))
    assert here.api.names(CONFIG_MAPS) == ["c"]


async def test_what_is_not_ours_is_kept_and_causes_no_writes(here: World) -> None:
    """Scaling by an HPA, status, foreign labels and annotations."""
    await here.apply(deployment("d"))
    here.api.edit(DEPLOYMENTS, "d", {"spec": {"replicas": 7}})
    here.api.edit(DEPLOYMENTS, "d", {"status": {"readyReplicas": 7}}, subresource="status")
    here.api.edit(DEPLOYMENTS, "d", {"metadata": {"labels": {"team": "x"}, "annotations": {"revision": "1"}}})
    await eventually(lambda: _version(here, DEPLOYMENTS, "d") == here.api.storage.version)
    assert (await here.apply(deployment("d"))).sent == 1  # `replicas` was ours by default, and is no longer
    here.api.edit(DEPLOYMENTS, "d", {"spec": {"replicas": 8}})
    here.api.edit(DEPLOYMENTS, "d", {"spec": {"replicas": 7}})
    await eventually(lambda: _version(here, DEPLOYMENTS, "d") == here.api.storage.version)
    assert (await here.apply(deployment("d"))).sent == 0
    await here.apply(deployment("d", image="other"))
    stored = here.api.read(DEPLOYMENTS, "d")
    assert stored["spec"]["replicas"] == 7
    assert stored["metadata"]["labels"] == {"app": "d", "team": "x"}
    assert stored["metadata"]["annotations"]["revision"] == "1"


@pytest.mark.parametrize("changed", [False, True])
async def test_restarted_operator_writes_nothing_and_reads_once_per_shape(api: FakeApi, changed: bool) -> None:
    api.create(WIDGETS, widget("w"))
    children = [config_map(f"c{number}", a=str(number)) for number in range(20)]
    children += [deployment(f"d{number}", image=f"nginx:{number}") for number in range(20)]
    async with api.client() as client:
        async with world(api, client) as first:
            if changed:
                await first.apply(*[deployment(f"d{number}", image="old") for number in range(20)])
            await first.apply(*children)
        versions = [api.read(CONFIG_MAPS, name)["metadata"]["resourceVersion"] for name in api.names(CONFIG_MAPS)]
        api.calls.clear()
        async with world(api, client) as second:
            applied = await second.apply(*children)
            assert (applied.sent, applied.unchanged) == (0, 40)
            assert len([call for call in api.called("list") if "fieldSelector" in call.query]) == 2
    assert versions == [api.read(CONFIG_MAPS, name)["metadata"]["resourceVersion"] for name in api.names(CONFIG_MAPS)]


async def test_drift_while_no_operator_ran_is_undone(api: FakeApi) -> None:
    api.create(WIDGETS, widget("w"))
    children = [config_map(name, a="1") for name in ("c1", "c2")]
    async with api.client() as client:
        async with world(api, client) as first:
            await first.apply(*children)
        api.edit(CONFIG_MAPS, "c2", {"data": {"a": "tampered"}})
        async with world(api, client) as second:
            await second.apply(*children)
    assert api.read(CONFIG_MAPS, "c2")["data"] == {"a": "1"}


async def test_fields_of_another_applier_on_the_same_object_settle(here: World) -> None:
    await here.apply(config_map("c1", a="1"), config_map("c2", a="1"))
    kind, key = (CONFIG_MAPS.api_version, CONFIG_MAPS.kind), ("default", "c2")
    foreign = {"metadata": {"labels": {"gitops": "yes"}}}
    here.api._told(lambda: here.api.storage.apply("configmaps", kind, key, foreign, "gitops", force=False))
    await eventually(lambda: _version(here, CONFIG_MAPS, "c2") == here.api.storage.version)
    await here.apply(config_map("c1", a="1"), config_map("c2", a="1"))
    here.api.calls.clear()
    for _ in range(3):
        await here.apply(config_map("c1", a="1"), config_map("c2", a="1"))
    assert here.api.writes() == []
    assert here.api.read(CONFIG_MAPS, "c2")["metadata"]["labels"] == {"gitops": "yes"}


async def test_object_of_somebody_else_is_not_overwritten(here: World) -> None:
    here.api.create(CONFIG_MAPS, config_map("taken", a="theirs"))
    owned = config_map("owned", a="theirs")
    owned["metadata"]["ownerReferences"] = [{"uid": "other", "kind": "Widget", "name": "x", "controller": True}]
    here.api.create(CONFIG_MAPS, owned)
    await eventually(lambda: len(here.stores[here.source(CONFIG_MAPS)]) == 2)
    applied = await here.apply(config_map("taken", a="ours"), config_map("owned", a="ours"), config_map("free"))
    assert applied.sent == 1
    assert [refusal.key.name for refusal in applied.refused] == ["taken", "owned"]
    with pytest.raises(Occupied, match=r"configmaps default/taken exists already.*rename or delete it"):
        applied.raise_first()
    assert here.api.read(CONFIG_MAPS, "taken")["data"] == {"a": "theirs"}
    assert here.api.read(CONFIG_MAPS, "owned")["data"] == {"a": "theirs"}


@asynccontextmanager
async def selective(api: FakeApi) -> AsyncIterator[World]:
    """Caches of ConfigMaps with our label alone."""
    if "w" not in api.names(WIDGETS):
        api.create(WIDGETS, widget("w"))
    async with api.client() as client, world(api, client, config_maps(selector="made-by=us")) as entered:
        yield entered


def labelled(name: str, **data: str) -> dict[str, Any]:
    made = config_map(name, **data)
    made["metadata"]["labels"] = {"made-by": "us"}
    return made


async def test_object_of_somebody_else_that_the_selector_hides_is_not_overwritten(api: FakeApi) -> None:
    api.create(CONFIG_MAPS, config_map("before"))
    api.create(CONFIG_MAPS, config_map("taken", a="theirs"))
    async with selective(api) as here:
        applied = await here.apply(labelled("taken", a="ours"), labelled("free"))
    assert applied.sent == 1
    with pytest.raises(Occupied, match=r"configmaps default/taken exists already.*rename or delete it"):
        applied.raise_first()
    assert api.read(CONFIG_MAPS, "taken")["data"] == {"a": "theirs"}
    assert "labels" not in api.read(CONFIG_MAPS, "taken")["metadata"]


async def test_object_of_ours_that_lost_its_label_gets_it_back(api: FakeApi) -> None:
    async with selective(api) as here:
        await here.apply(labelled("c", a="1"))
    api.edit(CONFIG_MAPS, "c", {"metadata": {"labels": None}})
    async with selective(api) as here:
        assert (await here.apply(labelled("c", a="1"))).sent == 1
    assert api.read(CONFIG_MAPS, "c")["metadata"]["labels"] == {"made-by": "us"}


async def test_object_that_goes_while_it_is_looked_at_is_tried_again(api: FakeApi) -> None:
    async with selective(api) as here:
        api.fault(faults.refuse(409, "AlreadyExists"), verb="create", plural="configmaps")
        with pytest.raises(Conflict):
            await here.apply(labelled("c"))


async def test_orphan_that_was_applied_from_here_is_adopted(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    here.api.edit(CONFIG_MAPS, "c", {"metadata": {"ownerReferences": None}})
    await eventually(lambda: _version(here, CONFIG_MAPS, "c") == here.api.storage.version)
    assert (await here.apply(config_map("c", a="1"))).sent == 1
    [owner] = here.api.read(CONFIG_MAPS, "c")["metadata"]["ownerReferences"]
    assert owner["uid"] == here.owner.metadata.uid


@pytest.mark.parametrize("code,error", [(403, Forbidden), (422, Invalid), (404, NotFound)])
async def test_refused_child_does_not_stop_the_others(here: World, code: int, error: type[Exception]) -> None:
    here.api.fault(faults.refuse(code), verb="create", plural="configmaps")
    applied = await here.apply(config_map("c"), deployment("d"))
    assert applied.sent == 1
    [refusal] = applied.refused
    assert (refusal.kind, refusal.key.name, type(refusal.error)) == ("ConfigMap", "c", error)


async def test_unreachable_server_stops_at_once(here: World) -> None:
    here.api.fault(faults.reset, verb="create")
    with pytest.raises(Unreachable):
        await here.apply(config_map("c"), deployment("d"))
    assert len(here.api.called("create")) == 1


async def test_prune_deletes_what_is_no_longer_rendered_and_only_that(here: World) -> None:
    await here.apply(config_map("keep"), config_map("drop"), deployment("drop"))
    foreign = config_map("foreign")
    foreign["metadata"]["ownerReferences"] = [{"uid": here.owner.metadata.uid, "kind": "Widget", "name": "w"}]
    here.api.create(CONFIG_MAPS, foreign)
    await eventually(lambda: len(here.stores[here.source(CONFIG_MAPS)]) == 3)
    request = here.request()
    assert await here.applier.prune(request, here.owner, [config_map("keep")]) == 2
    await here.caught_up(request)
    assert here.api.names(CONFIG_MAPS) == ["foreign", "keep"]
    assert here.api.names(DEPLOYMENTS) == []
    deletion = here.api.called("delete")[0]
    assert deletion.body["preconditions"]["uid"]
    assert await here.applier.prune(here.request(), here.owner, [config_map("keep")]) == 0


async def test_prune_waits_for_a_deletion_that_is_under_way(here: World) -> None:
    child = config_map("slow")
    child["metadata"]["finalizers"] = ["example.com/hold"]
    await here.apply(child)
    request = here.request()
    assert await here.applier.prune(request, here.owner, []) == 1
    await here.caught_up(request)
    assert await here.applier.prune(here.request(), here.owner, []) == 0
    assert len(here.api.called("delete")) == 1


async def test_status_is_sent_only_as_far_as_it_differs(here: World) -> None:
    request = here.request()
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "tools": {"git": "2", "jq": "1"}}
    assert await here.applier.patch_status(request, here.owner, status)
    await here.caught_up(request)
    assert not await here.applier.patch_status(here.request(), here.owner, status)
    request = here.request()
    assert await here.applier.patch_status(request, here.owner, {**status, "tools": {"git": "3"}})
    await here.caught_up(request)
    first, second = here.api.called("patch")
    assert first.query == {"fieldManager": MANAGER}
    assert second.body == {"status": {"tools": {"git": "3", "jq": None}}}
    assert here.api.read(WIDGETS, "w")["status"]["tools"] == {"git": "3"}


async def test_no_op_apply_counts_as_no_write(here: World) -> None:
    await here.apply(config_map("c", a="1"))
    await here.apply(config_map("c", a="2"))
    here.applier._ledger._by_shape[shape_of(here.applier._owned(config_map("c", a="2"), here.owner)), False] = 1
    request = here.request()
    assert (await here.applier.apply(request, here.owner, [config_map("c", a="2")])).sent == 1
    assert request.writes.count == 0
    assert request.writes.children == 1


async def test_applier_made_after_the_caches_were_filled_is_refused(here: World) -> None:
    with pytest.raises(RuntimeError, match="before the Runtime runs"):
        Applier(here.applier._client, here.stores, root=here.source(WIDGETS), field_manager="other", mark=MARK)


def _managed(here: World, resource: Any, name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = here.api.read(resource, name)["metadata"]["managedFields"]
    return entries


def _version(here: World, resource: Any, name: str) -> int:
    live = here.stores[here.source(resource)].get(ObjectKey("default", name))
    return int(live.metadata.resource_version) if live else 0


# digests, shapes, merge patches

DOCUMENTS = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), DOCUMENTS, max_size=4)


@given(old=OBJECTS, new=OBJECTS)
def test_merge_patch_makes_new_of_old(old: Any, new: Any) -> None:
    patch = merge_patch(old, new)
    assert _merged(old, patch) == new
    assert (patch == {}) == (old == new)


@given(manifest=OBJECTS)
def test_digest_ignores_the_order_of_keys(manifest: Any) -> None:
    assert digest_manifest(dict(reversed(manifest.items()))) == digest_manifest(manifest)


def test_shape_is_of_fields_and_not_of_values() -> None:
    assert shape_of(deployment("a", image="one")) == shape_of({**deployment("a", image="two")})
    assert shape_of(config_map("c", a="1")) != shape_of(config_map("c", b="1"))
    assert shape_of(config_map("c", a="1")) == shape_of(config_map("other", a="2"))
    renamed = deployment("a")
    renamed["spec"]["template"]["spec"]["containers"][0]["env"][0]["name"] = "B"
    assert shape_of(renamed) != shape_of(deployment("a"))
