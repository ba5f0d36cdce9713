"""One pass of a reconciler over one object: what it is asked, what it may answer, what it wrote."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from agent_kube.cache.store import Stores
from agent_kube.objects import ObjectKey
from agent_kube.source import Source


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to do until something changes."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again in so many seconds, whether or not something changes."""

    seconds: float


Outcome = Done | RequeueAfter


@dataclass(frozen=True, slots=True)
class Expectation:
    """A write of ours that the cache has yet to show: a version to reach or, with `gone_uid`, an object to lose."""

    source: Source[Any]
    key: ObjectKey
    version: int = 0
    gone_uid: str = ""

    def met(self, stores: Stores) -> bool:
        """Whether the cache has caught up with this write."""
        store = stores[self.source]
        if not self.gone_uid:
            return store.version(self.key.namespace) >= self.version
        live = store.get(self.key)
        return live is None or live.metadata.uid != self.gone_uid or live.metadata.deletion_timestamp is not None


@dataclass(slots=True)
class Writes:
    """What one pass wrote. `children` is how many it manages: the write budget grows with them."""

    count: int = 0
    children: int = 0
    expected: list[Expectation] = field(default_factory=list)

    def record(self, expectation: Expectation) -> None:
        """Count one write that changed something, and expect to see it."""
        self.count += 1
        self.expected.append(expectation)


@dataclass(frozen=True, slots=True)
class Request:
    """The object to reconcile. `id` names this pass in log lines, spans and error reports."""

    key: ObjectKey
    id: str
    writes: Writes = field(default_factory=Writes)


current_request: ContextVar[Request | None] = ContextVar("current_request", default=None)
