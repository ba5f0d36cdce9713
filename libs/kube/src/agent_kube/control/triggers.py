"""Which change in the caches concerns which root object.

A root object triggers when it is new or gone, its generation changes or its deletion begins; its own status writes do
not. Children trigger their owner on any change, after a short pause in which more of them may come.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from agent_kube.cache.store import Change, Listener, Stores
from agent_kube.control.queue import Priority
from agent_kube.objects import ObjectKey, ObjectModel
from agent_kube.source import Source

Mapper = Callable[[Any], Iterable[ObjectKey]]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A root object that a change concerns.

    `edited`: its owner has changed what it wants. `relevant`: a reconcile is due.
    """

    key: ObjectKey
    priority: Priority
    after_s: float = 0.0
    edited: bool = False
    relevant: bool = True


class Triggers:
    """Listens to the stores of a controller while `attached`."""

    def __init__(
        self,
        stores: Stores,
        root: Source[Any],
        owns: Sequence[Source[Any]] = (),
        watches: Sequence[tuple[Source[Any], Mapper]] = (),
        *,
        settle_s: float = 0.0,
        metadata: bool = False,
    ) -> None:
        self._stores = stores
        self._root = root
        self._owns = owns
        self._watches = watches
        self._settle_s = settle_s
        self._metadata = metadata

    @contextmanager
    def attached(self, add: Callable[[Trigger], None]) -> Iterator[None]:
        """Call `add` for each trigger until the end of the block."""
        listeners = list(self._listeners(add))
        for source, listener in listeners:
            self._stores[source].subscribe(listener)
        try:
            yield
        finally:
            for source, listener in listeners:
                self._stores[source].unsubscribe(listener)

    def of_root(self, change: Change[Any]) -> Iterator[Trigger]:
        """The trigger of a root object's own change."""
        edited = is_edit(change, metadata=self._metadata)
        yield Trigger(change.latest.key, _priority(change), edited=edited, relevant=edited)

    def of_child(self, change: Change[Any]) -> Iterator[Trigger]:
        """The root objects that control a child, before or after its change."""
        keys = {
            ObjectKey(obj.metadata.namespace, owner.name): None
            for obj in (change.old, change.new)
            if obj is not None
            for owner in obj.metadata.owner_references
            if owner.controller and owner.kind == self._root.resource.kind
        }
        for key in keys:
            yield Trigger(key, _priority(change), self._settle_s)

    def _listeners(self, add: Callable[[Trigger], None]) -> Iterator[tuple[Source[Any], Listener]]:
        def feed(find: Callable[[Change[Any]], Iterable[Trigger]]) -> Listener:
            def listener(change: Change[Any]) -> None:
                for trigger in find(change):
                    add(trigger)

            return listener

        yield self._root, feed(self.of_root)
        for source in self._owns:
            yield source, feed(self.of_child)
        for source, mapper in self._watches:
            yield source, feed(self._mapped_by(mapper))

    def _mapped_by(self, mapper: Mapper) -> Callable[[Change[Any]], Iterable[Trigger]]:
        def find(change: Change[Any]) -> Iterator[Trigger]:
            keys = {key: None for obj in (change.old, change.new) if obj is not None for key in mapper(obj)}
            for key in keys:
                yield Trigger(key, _priority(change), self._settle_s)

        return find


def is_edit(change: Change[ObjectModel], *, metadata: bool) -> bool:
    """Whether a root object is new, gone, being deleted or of another generation; or relabelled, with `metadata`."""
    old, new = change.old, change.new
    if old is None or new is None:
        return True
    was, now = old.metadata, new.metadata
    if (was.uid, was.generation, was.deletion_timestamp) != (now.uid, now.generation, now.deletion_timestamp):
        return True
    return metadata and (was.labels, was.annotations) != (now.labels, now.annotations)


def _priority(change: Change[Any]) -> Priority:
    return Priority.BULK if change.listed else Priority.LIVE
