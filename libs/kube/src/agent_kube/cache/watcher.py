"""List-watch of one kind in one scope, as a state machine.

    Listing ── complete ──> Watching(version) ── stream ends, reset, silent, 5xx ──> Watching(version)
       ^                          │
       └── 410, ERROR event, line too long, refused ───┘

A new connection after an end or a failure always waits for the back-off first. A stream without a byte for
`silence_s` is dead, since bookmarks come every minute: it is left and resumed where it stopped. Several streams in a
row without a single event mean a version that the server does not know, as after a restored backup: list again. One
object that does not fit its model is reported and skipped: it must not hide all others. A scope that the server
refuses (403) is asked for again slowly, and its store says so meanwhile: it must not stop the others.

Whatever others put into the cluster, memory is bounded: a page of more than `page_bytes` is asked for again with half
as many objects, and of each object only what its source keeps stays.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Never, TypeVar

import msgspec
from msgspec import Raw

from agent_base.backoff import Backoff, BackoffTimer
from agent_kube.cache.pager import Pager
from agent_kube.cache.store import Store
from agent_kube.cache.watchstate import Listing, State, Watching, WatchSettings
from agent_kube.client.client import Client
from agent_kube.client.responses import read_status
from agent_kube.errors import (
    ErrorEvent,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Retryable,
    ServerFault,
    StreamBroken,
)
from agent_kube.objects import ObjectMeta, ObjectModel
from agent_kube.source import Page

log = logging.getLogger(__name__)

T = TypeVar("T", bound=ObjectModel)

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BARREN_STREAMS = 5
RECONNECT = Backoff(0.8, 30.0, low=0.5, high=1.5)
ABSENT = Backoff(0.5, 4.0, low=0.5, high=1.5)
"""While nobody answers: what changed meanwhile is seen that much later."""
CALM_S = 120.0
"""Without a failure for so long, the next pause is the first again."""


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: Raw


class Bookmark(msgspec.Struct, frozen=True):
    """The object of a BOOKMARK event: a version, and on WatchList the end of the initial events."""

    metadata: ObjectMeta


@dataclass(slots=True)
class Collected(Generic[T]):
    """Objects of a list that is not complete yet."""

    objects: list[T] = field(default_factory=list)
    version: str = ""


class Watcher(Generic[T]):
    """Keeps one scope of a store equal to the server's state. `run` never returns and never raises a KubeError."""

    def __init__(  # noqa: PLR0913  clock, chance and observer are the seams of its tests
        self,
        client: Client,
        store: Store[T],
        scope: str,
        *,
        settings: WatchSettings | None = None,
        backoff: Backoff | None = None,
        observe: Callable[[str, str], None] = lambda _resource, _outcome: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._store = store
        self._source = store.source
        self._scope = scope
        self._settings = settings or WatchSettings()
        self._backoff = BackoffTimer(backoff or RECONNECT, calm_s=CALM_S)
        self._absent = BackoffTimer(backoff or ABSENT, calm_s=CALM_S)
        self._observe = observe
        self._clock = clock
        self._decode_event = msgspec.json.Decoder(WatchEvent).decode
        self._decode_bookmark = msgspec.json.Decoder(Bookmark).decode
        self._decode_page = msgspec.json.Decoder(Page).decode
        self._version = ""
        self._stream_lists = self._settings.stream_lists
        self._barren = 0
        self._pager = Pager(
            client, self._source, scope, size=self._settings.page_size, max_bytes=self._settings.page_bytes
        )
        self.progress_at = clock()

    @property
    def name(self) -> str:
        """What is followed, for messages."""
        return f"{self._source.resource} in {self._scope or 'all namespaces'}"

    @property
    def resource(self) -> str:
        """The kind that is followed, for metrics."""
        return str(self._source.resource)

    @property
    def silence_s(self) -> float:
        """Time since something came, or was asked for."""
        return self._clock() - self.progress_at

    async def run(self) -> Never:
        """Follow the server until cancelled."""
        state: State = self._relist()
        while True:
            state = await self.step(state)

    async def step(self, state: State) -> State:
        """One list, or one watch with the pause after it; answers what to do next."""
        self._progress()
        self._version = state.version if isinstance(state, Watching) else ""
        try:
            if isinstance(state, Watching):
                await self._watch(state.version)
                return await self._pause(self._resumed(), "ended")
            if state.streamed:
                await self._watch(None)
                return await self._pause(self._resumed(), "ended")
            self._version = await self._list(paged=state.paged)
        except (KubeError, msgspec.MsgspecError) as error:
            return await self._fail(state, error)
        self._observe(str(self._source.resource), "listed")
        return Watching(self._version)

    async def _fail(self, state: State, error: Exception) -> State:
        """Where to go after an error, once the pause is over."""
        following = self._after_failure(state, error)
        at_least_s = (error.retry_after_s or 0.0) if isinstance(error, Retryable) else 0.0
        if isinstance(error, Forbidden) and not self._store.forbid(self._scope, error):
            log.debug("%s is still refused", self.name)
        elif isinstance(error, NotFound) and self._source.optional:
            self._store.replace(self._scope, (), "")
            at_least_s = self._settings.optional_retry_s
            log.debug("%s is not served here", self.name)
        else:
            log.warning("following %s: %s; next: %s", self.name, error, type(following).__name__.lower())
        return await self._pause(following, type(error).__name__, at_least_s)

    def _after_failure(self, state: State, error: Exception) -> State:
        listed = isinstance(state, Watching) or (state.streamed and bool(self._version))
        if listed:
            return self._relist() if _needs_list(error) else self._resumed()
        self._stream_lists = False  # refused or broken before its end: pages work everywhere
        return Listing(paged=not isinstance(error, Expired))

    def _resumed(self) -> State:
        if self._barren < BARREN_STREAMS:
            return Watching(self._version)
        self._barren = 0
        return self._relist()

    def _relist(self) -> Listing:
        return Listing(streamed=self._stream_lists)

    async def _pause(self, following: State, outcome: str, at_least_s: float = 0.0) -> State:
        self._observe(str(self._source.resource), outcome)
        timer = self._absent if outcome == "Unreachable" else self._backoff
        await asyncio.sleep(timer.next_s(at_least_s))
        return following

    async def _list(self, *, paged: bool) -> str:
        """Read all pages, then swap the store. Answers the version to watch from."""
        collected = Collected[T]()
        query, token = self._query(), ""
        while True:
            page = self._decode_page(await self._pager.read(query, token, paged=paged))
            collected.objects.extend(filter(self._source.keeps, self._readable(page.items or ())))
            token = page.metadata.continue_token
            self._progress()
            if not token:
                break
        self._store.replace(self._scope, collected.objects, page.metadata.resource_version)
        return page.metadata.resource_version

    async def _watch(self, version: str | None) -> None:
        """Follow a stream to its end. Without a version the stream begins with the whole state (WatchList)."""
        timeout = str(random.randint(*self._settings.timeout_s))  # noqa: S311  spreads reconnects, no secret
        query = self._query(allowWatchBookmarks="true", timeoutSeconds=timeout)
        if version is None:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        else:
            query["resourceVersion"] = version
        collected = Collected[T]() if version is None else None
        stream = self._client.watch(
            self._source.resource,
            self._scope,
            query,
            accept=self._source.accept,
            silence_s=self._settings.silence_s,
        )
        async with stream as lines:
            if version is not None:
                self._store.allow(self._scope)
            self._barren += 1
            if collected is not None:
                await self._collect(lines, collected)
            async for line in lines:
                self._take(self._decode_event(line))

    async def _collect(self, lines: AsyncIterator[bytes], collected: Collected[T]) -> None:
        """Read the initial events of a WatchList and swap the store at their end."""
        async for line in lines:
            self._progress()
            event = self._decode_event(line)
            if event.type == "ADDED":
                collected.objects.extend(filter(self._source.keeps, self._readable((event.object,))))
            elif event.type == "BOOKMARK":
                meta = self._decode_bookmark(event.object).metadata
                if meta.annotations.get(INITIAL_EVENTS_END) == "true":
                    self._store.replace(self._scope, collected.objects, meta.resource_version)
                    self._version = meta.resource_version
                    return
            else:
                raise ErrorEvent(f"{event.type} in the initial events: {bytes(event.object)[:200]!r}")
        raise ServerFault("the stream ended before the initial events did")

    def _take(self, event: WatchEvent) -> None:
        """Apply one live event to the store."""
        self._progress()
        self._barren = 0
        if event.type == "BOOKMARK":
            self._version = self._decode_bookmark(event.object).metadata.resource_version
            self._store.advance(self._scope, self._version)
            return
        if event.type not in ("ADDED", "MODIFIED", "DELETED"):
            status = read_status(bytes(event.object))
            raise ErrorEvent(f"the server sent {event.type}: {status.message} ({status.code})")
        for obj in self._readable((event.object,)):
            self._version = obj.metadata.resource_version
            if event.type != "DELETED" and self._source.keeps(obj):
                self._store.put(self._scope, obj)
            elif self._store.get(obj.key) is not None:
                self._store.remove(self._scope, obj)
            else:
                self._store.advance(self._scope, self._version)

    def _readable(self, raws: Iterable[Raw]) -> list[T]:
        objects = []
        for raw in raws:
            try:
                objects.append(self._source.decode(raw))
            except msgspec.MsgspecError as error:
                self._observe(str(self._source.resource), "unreadable")
                log.error("an object of %s does not fit its model and is left out: %s", self.name, error)  # noqa: TRY400
        return objects

    def _query(self, **parameters: str) -> dict[str, str]:
        return {"labelSelector": self._source.selector, **parameters} if self._source.selector else parameters

    def _progress(self) -> None:
        self.progress_at = self._clock()


def _needs_list(error: Exception) -> bool:
    """Whether a watch cannot go on from its version after `error`."""
    return isinstance(error, (Expired, StreamBroken, NotFound, Invalid, msgspec.MsgspecError))
