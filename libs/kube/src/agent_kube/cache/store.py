"""Caches of the cluster's state: written by watchers, read by reconcilers.

A relist builds the new state beside the old one and swaps it in one assignment, so a reader never sees half of it.
What vanished while nobody watched is found by comparing both, and reported as deleted like any other deletion.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agent_kube.errors import Forbidden
from agent_kube.objects import ObjectKey, ObjectModel, Writer, version_number
from agent_kube.source import Source

T = TypeVar("T", bound=ObjectModel)

EVERYWHERE = ""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object before and after: `old` None = added, `new` None = deleted.

    `listed`: it comes from a list, not from a live event.
    """

    old: T | None
    new: T | None
    listed: bool = False

    @property
    def latest(self) -> T:
        """The object as last seen."""
        latest = self.new if self.new is not None else self.old
        assert latest is not None  # noqa: S101  a change has at least one side
        return latest


Listener = Callable[[Change[Any]], None]
IndexKey = tuple[str, str]
OWNER = ""


class Snapshot(Generic[T]):
    """The objects of one scope and their indexes. An index holds tuples: most owners have one child of a kind."""

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.objects: dict[ObjectKey, T] = {}
        self._labels = labels
        self._index: dict[IndexKey, tuple[ObjectKey, ...]] = {}

    def put(self, obj: T) -> T | None:
        """Store `obj`; answers what it replaces."""
        key = obj.key
        old = self.objects.get(key)
        if old is not None:
            self._unindex(key, old)
        self.objects[key] = obj
        for entry in self._entries(obj):
            self._index[entry] = (*self._index.get(entry, ()), key)
        return old

    def remove(self, key: ObjectKey) -> T | None:
        """Forget an object; answers it."""
        old = self.objects.pop(key, None)
        if old is not None:
            self._unindex(key, old)
        return old

    def find(self, entry: IndexKey) -> list[T]:
        """Objects under one index entry."""
        return [self.objects[key] for key in self._index.get(entry, ())]

    def _entries(self, obj: T) -> Iterator[IndexKey]:
        for owner in obj.metadata.owner_references:
            yield OWNER, owner.uid
        for name in self._labels:
            value = obj.metadata.labels.get(name)
            if value is not None:
                yield name, value

    def _unindex(self, key: ObjectKey, obj: T) -> None:
        for entry in self._entries(obj):
            left = tuple(other for other in self._index[entry] if other != key)
            if left:
                self._index[entry] = left
            else:
                del self._index[entry]


class Store(Generic[T]):
    """The cached objects of one kind, in one scope per watched namespace or one for all of them."""

    def __init__(self, source: Source[T], scopes: tuple[str, ...] = (EVERYWHERE,)) -> None:
        self.source = source
        self.scopes = scopes
        self._snapshots = {scope: Snapshot[T](source.labels) for scope in scopes}
        self._versions: dict[str, int] = {}
        self._forbidden: dict[str, Forbidden] = {}
        self._complete = asyncio.Event()
        self._listeners: list[Listener] = []

    def __len__(self) -> int:
        return sum(len(snapshot.objects) for snapshot in self._snapshots.values())

    @property
    def synced(self) -> bool:
        """Every scope was listed completely at least once, or the server has refused it."""
        return self._complete.is_set()

    async def wait_synced(self) -> None:
        """Return once every scope was listed or refused."""
        await self._complete.wait()

    def get(self, key: ObjectKey) -> T | None:
        snapshot = self._snapshots.get(self._scope(key.namespace))
        return snapshot.objects.get(key) if snapshot else None

    def items(self) -> Iterator[T]:
        """All objects, as of now: changes during the iteration do not show."""
        for snapshot in self._snapshots.values():
            yield from list(snapshot.objects.values())

    def owned_by(self, uid: str) -> list[T]:
        """Objects that name the owner `uid` in their ownerReferences."""
        return self._find((OWNER, uid))

    def labelled(self, name: str, value: str) -> list[T]:
        """Objects whose label `name` is `value`. KeyError unless the source indexes that label."""
        if name not in self.source.labels:
            raise KeyError(f"{self.source} does not index the label {name}")
        return self._find((name, value))

    def version(self, namespace: str) -> int:
        """Up to which resourceVersion the scope of `namespace` is known; 0 before its first list."""
        return self._versions.get(self._scope(namespace), 0)

    @property
    def served(self) -> bool:
        """Whether the server has the API; only an optional source's can be missing."""
        return any(self._versions.values())

    def subscribe(self, listener: Listener) -> None:
        """Call `listener` with every later change, after the store shows it."""
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        """Call `listener` no more."""
        self._listeners.remove(listener)

    def replace(self, scope: str, objects: Iterable[T], resource_version: str) -> None:
        """Swap in the complete state of a scope and report what differs from the old one."""
        fresh = Snapshot[T](self.source.labels)
        for obj in objects:
            fresh.put(obj)
        old = self._snapshots[scope].objects
        self._snapshots[scope] = fresh
        self._versions[scope] = version_number(resource_version)
        self.allow(scope)
        for key in [key for key in old if key not in fresh.objects]:
            self._report(Change(old[key], None, listed=True))
        for key, obj in list(fresh.objects.items()):
            before = old.get(key)
            if before is None or before.metadata.resource_version != obj.metadata.resource_version:
                self._report(Change(before, obj, listed=True))

    def forbid(self, scope: str, error: Forbidden) -> bool:
        """The server refuses to list or watch a scope: what is known of it may be old. False if that was known."""
        known = scope in self._forbidden
        self._forbidden[scope] = error
        self._count_scopes()
        return not known

    def allow(self, scope: str) -> None:
        """The server tells of a scope (again)."""
        self._forbidden.pop(scope, None)
        self._count_scopes()

    def refusal(self, namespace: str) -> Forbidden | None:
        """Why nothing is known of a namespace now."""
        return self._forbidden.get(self._scope(namespace)) if self._forbidden else None

    @property
    def blind(self) -> Forbidden | None:
        """Why nothing is known of any scope now."""
        refused = len(self._forbidden) == len(self.scopes)
        return next(iter(self._forbidden.values())) if refused else None

    def put(self, scope: str, obj: T) -> None:
        """Take a live addition or modification."""
        old = self._snapshots[scope].put(obj)
        self.advance(scope, obj.metadata.resource_version)
        self._report(Change(old, obj))

    def remove(self, scope: str, obj: T) -> None:
        """Take a live deletion; `obj` is its last state."""
        self._snapshots[scope].remove(obj.key)
        self.advance(scope, obj.metadata.resource_version)
        self._report(Change(obj, None))

    def advance(self, scope: str, resource_version: str) -> None:
        """Nothing else has changed up to this version (a bookmark)."""
        self._versions[scope] = max(self._versions.get(scope, 0), version_number(resource_version))

    def _count_scopes(self) -> None:
        if len(self._versions.keys() | self._forbidden.keys()) == len(self.scopes):
            self._complete.set()

    def _scope(self, namespace: str) -> str:
        return namespace if namespace in self._snapshots else EVERYWHERE

    def _find(self, entry: IndexKey) -> list[T]:
        return [obj for snapshot in self._snapshots.values() for obj in snapshot.find(entry)]

    def _report(self, change: Change[T]) -> None:
        for listener in self._listeners:
            listener(change)


class Stores:
    """One store per source. `namespaces`: the only ones to watch; none means the whole cluster."""

    def __init__(self, sources: Iterable[Source[Any]], *, namespaces: tuple[str, ...] = ()) -> None:
        self._stores: dict[Source[Any], Store[Any]] = {
            source: Store(source, namespaces if namespaces and source.resource.namespaced else (EVERYWHERE,))
            for source in sources
        }
        self._by_kind = {(s.resource.api_version, s.resource.kind): s for s in self._stores}

    def __getitem__(self, source: Source[T]) -> Store[T]:
        return self._stores[source]

    def __iter__(self) -> Iterator[Store[Any]]:
        return iter(self._stores.values())

    @property
    def synced(self) -> bool:
        """All caches hold a complete state."""
        return all(store.synced for store in self)

    async def wait_synced(self) -> None:
        """Return once all caches hold a complete state."""
        for store in self:
            await store.wait_synced()

    def refusal(self, namespace: str) -> Forbidden | None:
        """The first reason why the state of a namespace is not known whole: nothing may be decided by it then."""
        return next((found for store in self if (found := store.refusal(namespace))), None)

    def track(self, writer: Writer) -> None:
        """Have the caches note what `writer` owns. Raises RuntimeError when one of them is filled already."""
        if any(store.synced for store in self):
            raise RuntimeError("the caches are filled already: make the Applier before the Runtime runs")
        for source in self._stores:
            source.writer = writer

    def source_of(self, manifest: dict[str, Any]) -> Source[Any]:
        """The source that caches a manifest's kind. KeyError if none does."""
        return self._by_kind[manifest["apiVersion"], manifest["kind"]]
