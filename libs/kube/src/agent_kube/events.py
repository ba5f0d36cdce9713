"""Events (events.k8s.io/v1) about objects: best effort, never in the way.

`event` only notes what happened; a task sends it. Repeats within a series become one count, patched at most every
`SERIES_UPDATE_S`. Each object has a budget, so that a failing one cannot flood the server. An event that the server
does not take (403 in a terminating namespace, 429 under load, or any other failure) is dropped.
"""

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, Never

from agent_kube.client.client import Client, Manifest
from agent_kube.errors import KubeError, NotFound
from agent_kube.objects import ObjectKey, ObjectModel
from agent_kube.resources import EVENTS, Resource
from agent_kube.timestamps import micro_time, utc_now

log = logging.getLogger(__name__)

NOTE_CHARS = 1024
REASON_CHARS = 128
SERIES_S = 600.0
SERIES_UPDATE_S = 60.0
BURST = 25
REFILL_S = 60.0
KNOWN_SERIES = 4096
BACKLOG = 1000

EventType = Literal["Normal", "Warning"]


class SeriesKey(NamedTuple):
    """What makes two events repeats of each other."""

    uid: str
    type: str
    reason: str
    action: str
    note: str


@dataclass(slots=True)
class Series:
    """One event and its repeats. `sent` is the count the server knows; times are monotonic seconds."""

    key: ObjectKey
    manifest: Manifest
    count: int
    sent: int
    last_seen: float
    last_sent: float
    observed: datetime


@dataclass(slots=True)
class Allowance:
    """Events that one object may still cause, as of `at`."""

    left: float
    at: float


class EventRecorder:
    """Records events for one reporting controller (`example.com/website`) and instance (the Pod's name)."""

    def __init__(
        self,
        client: Client,
        *,
        controller: str,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance[:REASON_CHARS]
        self._clock = clock
        self._now = now
        self._series: OrderedDict[SeriesKey, Series] = OrderedDict()
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()
        self._backlog: asyncio.Queue[Series] = asyncio.Queue(BACKLOG)

    def event(
        self, resource: Resource, obj: ObjectModel, type_: EventType, reason: str, action: str, message: str
    ) -> None:
        """Note that `action` on `obj` came to `reason` (both CamelCase words). Returns at once, never fails."""
        note = message if len(message) <= NOTE_CHARS else message[: NOTE_CHARS - 3] + "..."
        identity = SeriesKey(obj.metadata.uid, type_, reason[:REASON_CHARS], action[:REASON_CHARS], note)
        now = self._clock()
        series = self._series.get(identity)
        if series is not None and now - series.last_seen < SERIES_S:
            series.count += 1
            series.last_seen, series.observed = now, self._now()
            if now - series.last_sent >= SERIES_UPDATE_S:
                series.last_sent = now
                self._offer(series)
            return
        if not self._allowed(identity.uid, now):
            return
        manifest = self._manifest(resource, obj, identity)
        key = ObjectKey(manifest["metadata"]["namespace"], manifest["metadata"]["name"])
        self._series[identity] = series = Series(key, manifest, 1, 0, now, now, self._now())
        self._series.move_to_end(identity)
        if len(self._series) > KNOWN_SERIES:
            self._series.popitem(last=False)
        self._offer(series)

    async def run(self) -> Never:
        """Send what is noted, until cancelled."""
        while True:
            series = await self._backlog.get()
            try:
                await self._send(series)
            except KubeError as error:
                log.debug("an event was dropped: %s", error)
            finally:
                self._backlog.task_done()

    async def flush(self, timeout_s: float = 2.0) -> None:
        """Wait until all that is noted was sent or dropped, at most `timeout_s`. `run` must be running."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._backlog.join()
        except TimeoutError:
            log.debug("%d events were not sent in time", self._backlog.qsize())

    async def _send(self, series: Series) -> None:
        count = series.count
        repeats: Manifest = {"series": {"count": count, "lastObservedTime": micro_time(series.observed)}}
        if series.sent == 0:
            await self._client.create(EVENTS, {**series.manifest, **repeats} if count > 1 else series.manifest)
        elif count > series.sent:
            try:
                await self._client.patch(EVENTS, series.key, repeats)
            except NotFound:  # it has outlived the server's retention
                await self._client.create(EVENTS, {**series.manifest, **repeats})
        series.sent = count

    def _offer(self, series: Series) -> None:
        try:
            self._backlog.put_nowait(series)
        except asyncio.QueueFull:
            log.debug("an event was dropped: %d wait already", BACKLOG)

    def _allowed(self, uid: str, now: float) -> bool:
        """Take one event from the object's allowance."""
        allowance = self._allowances.setdefault(uid, Allowance(BURST, now))
        self._allowances.move_to_end(uid)
        if len(self._allowances) > KNOWN_SERIES:
            self._allowances.popitem(last=False)
        allowance.left = min(BURST, allowance.left + (now - allowance.at) / REFILL_S)
        allowance.at = now
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True

    def _manifest(self, resource: Resource, obj: ObjectModel, identity: SeriesKey) -> dict[str, Any]:
        namespace = obj.metadata.namespace or "default"
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{obj.metadata.name[:200]}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
            "eventTime": micro_time(self._now()),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "type": identity.type,
            "reason": identity.reason,
            "action": identity.action,
            "note": identity.note,
            "regarding": {
                "apiVersion": resource.api_version,
                "kind": resource.kind,
                "name": obj.metadata.name,
                "namespace": obj.metadata.namespace,
                "uid": obj.metadata.uid,
                "resourceVersion": obj.metadata.resource_version,
            },
        }
