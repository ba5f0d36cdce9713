from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from libs.kube.tests.kinds import WIDGETS, config_maps, deployment, deployments, widgets

from agent_kube import ObjectKey, PartialObject, Store, Stores
from agent_kube.cache.store import Change
from agent_kube.objects import ObjectMeta, OwnerReference, Writer

NAMES = st.sampled_from("abcde")
OWNERS = st.sampled_from(["", "u1", "u2"])
LABELS = st.sampled_from(["", "red", "blue"])
Spec = tuple[str, str]


def obj(name: str, version: int, owner: str = "", colour: str = "", namespace: str = "ns") -> PartialObject:
    owners = (OwnerReference(uid=owner, controller=True),) if owner else ()
    labels = {"colour": colour} if colour else {}
    meta = ObjectMeta(
        name=name, namespace=namespace, resource_version=str(version), owner_references=owners, labels=labels
    )
    return PartialObject(meta)


def coloured() -> Store[PartialObject]:
    return Store(config_maps(labels=("colour",)))


def names(objects: Any) -> list[str]:
    return sorted(item.metadata.name for item in objects)


def test_indexes_follow_changes() -> None:
    store = coloured()
    store.replace("", [obj("a", 1, "u1", "red"), obj("b", 1, "u1"), obj("c", 1, "u2", "red")], "1")
    assert names(store.owned_by("u1")) == ["a", "b"]
    assert names(store.labelled("colour", "red")) == ["a", "c"]
    store.put("", obj("a", 2, "u2", "blue"))
    assert names(store.owned_by("u1")) == ["b"]
    assert names(store.owned_by("u2")) == ["a", "c"]
    assert names(store.labelled("colour", "red")) == ["c"]
    store.remove("", obj("c", 3, "u2", "red"))
    assert names(store.owned_by("u2")) == ["a"]
    with pytest.raises(KeyError, match="does not index"):
        store.labelled("shape", "round")


def test_relist_swaps_before_it_tells() -> None:
    store = coloured()
    store.replace("", [obj("a", 1), obj("b", 1)], "1")
    seen: list[tuple[list[str], str, bool]] = []
    store.subscribe(lambda change: seen.append((names(store.items()), change.latest.metadata.name, change.listed)))
    store.replace("", [obj("b", 2), obj("c", 3)], "3")
    assert seen == [(["b", "c"], "a", True), (["b", "c"], "b", True), (["b", "c"], "c", True)]


def test_relist_tells_nothing_about_what_is_the_same() -> None:
    store = coloured()
    store.replace("", [obj("a", 1), obj("b", 1)], "1")
    changes: list[Change[Any]] = []
    store.subscribe(changes.append)
    store.replace("", [obj("a", 1), obj("b", 1)], "9")
    assert changes == []
    assert store.version("ns") == 9


def test_iteration_is_of_one_moment() -> None:
    store = coloured()
    store.replace("", [obj("a", 1), obj("b", 1)], "1")
    iteration = store.items()
    next(iteration)
    store.put("", obj("c", 2))
    assert len(list(iteration)) == 1


def test_scopes_are_kept_apart() -> None:
    store = Store(config_maps(), ("one", "two"))
    store.replace("one", [obj("a", 1, "u1", namespace="one")], "5")
    assert not store.synced
    store.replace("two", [obj("a", 1, "u1", namespace="two")], "7")
    assert store.synced
    assert (store.version("one"), store.version("two"), store.version("three")) == (5, 7, 0)
    store.replace("one", [], "8")
    assert [str(item.key) for item in store.owned_by("u1")] == ["two/a"]
    assert store.get(ObjectKey("one", "a")) is None
    assert store.get(ObjectKey("three", "a")) is None


def test_stores_find_the_source_of_a_manifest() -> None:
    deploys, root = deployments(), widgets()
    stores = Stores([root, deploys], namespaces=("one", "two"))
    assert stores.source_of(deployment("x")) is deploys
    assert stores[root].scopes == ("one", "two")
    with pytest.raises(KeyError):
        stores.source_of({"apiVersion": "v1", "kind": "Secret"})


def test_managed_fields_and_last_applied_do_not_reach_the_cache() -> None:
    raw = {
        "metadata": {
            "name": "a",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{...}", "mine": "1"},
            "managedFields": [{"operation": "Apply", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {"size": 1},
    }
    widget = widgets().decode(msgspec.json.encode(raw))
    assert widget.metadata.annotations == {"mine": "1"}
    assert widget.metadata.managed_fields == ()
    assert widget.metadata.owned_fields != 0
    assert bytes(widget.spec) == b'{"size":1}'
    assert WIDGETS.api_version == "example.com/v1"


def test_fields_count_as_owned_if_applied_or_set_by_our_create() -> None:
    def meta(*entries: dict[str, Any]) -> ObjectMeta:
        source = config_maps()
        source.writer = Writer("me")
        made = source.decode(msgspec.json.encode({"metadata": {"name": "a", "managedFields": list(entries)}}))
        assert isinstance(made, PartialObject)
        return made.metadata

    applied = {"manager": "me", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    created = {"manager": "me", "operation": "Update", "fieldsV1": {"f:data": {"f:b": {}}}}
    status = {"manager": "me", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}}
    foreign = {"manager": "other", "operation": "Update", "fieldsV1": {"f:data": {"f:c": {}}}}
    assert meta().owned_fields == meta(foreign).owned_fields == meta(status).owned_fields == 0
    assert meta(applied).owned_fields == meta(applied, foreign, status).owned_fields != 0
    assert meta(applied).owned_fields != meta(created).owned_fields != 0
    assert [meta(applied).as_created, meta(created).as_created, meta(foreign).as_created] == [False, True, False]


class StoreMachine(RuleBasedStateMachine):
    """Any order of lists and events, against a dict; the sum of reported changes must equal the state."""

    def __init__(self) -> None:
        super().__init__()
        self.store = coloured()
        self.model: dict[str, PartialObject] = {}
        self.told: dict[str, PartialObject] = {}
        self.version = 0
        self.store.subscribe(self.hear)

    def hear(self, change: Change[Any]) -> None:
        name = change.latest.metadata.name
        assert (change.old is None) == (name not in self.told)
        if change.new is None:
            del self.told[name]
        else:
            self.told[name] = change.new

    @rule(name=NAMES, owner=OWNERS, colour=LABELS)
    def put(self, name: str, owner: str, colour: str) -> None:
        self.version += 1
        self.model[name] = obj(name, self.version, owner, colour)
        self.store.put("", self.model[name])

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.model:
            self.version += 1
            del self.model[name]
            self.store.remove("", obj(name, self.version))

    @rule(state=st.dictionaries(NAMES, st.tuples(OWNERS, LABELS)), kept=st.sets(NAMES))
    def relist(self, state: dict[str, Spec], kept: set[str]) -> None:
        self.version += 1
        fresh = {name: obj(name, self.version, *spec) for name, spec in state.items()}
        self.model = fresh | {name: old for name, old in self.model.items() if name in kept}
        self.store.replace("", self.model.values(), str(self.version))

    @invariant()
    def store_is_the_model(self) -> None:
        assert {item.metadata.name: item for item in self.store.items()} == self.model
        assert self.told == self.model
        for owner in ("u1", "u2"):
            owned = [name for name, item in self.model.items() if item.metadata.controller_uid == owner]
            assert names(self.store.owned_by(owner)) == sorted(owned)
        for colour in ("red", "blue"):
            with_it = [name for name, item in self.model.items() if item.metadata.labels.get("colour") == colour]
            assert names(self.store.labelled("colour", colour)) == sorted(with_it)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
