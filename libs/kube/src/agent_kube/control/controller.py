"""Workers that reconcile keys, and what follows from each outcome.

Before a key is reconciled the caches must show what its last pass wrote, and its write budget must not be spent. The
only broad catch of the package stands here: whatever a reconciler raises, the worker goes on.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from agent_kube.cache.store import Stores
from agent_kube.control.guard import Budget, HotLoopGuard
from agent_kube.control.lag import LagTracker
from agent_kube.control.queue import Priority, WorkQueue
from agent_kube.control.request import Outcome, Request, RequeueAfter, current_request
from agent_kube.control.triggers import Mapper, Trigger, Triggers
from agent_kube.errors import Forbidden, QueueClosed, Retryable, Terminal, Waiting
from agent_kube.metrics import Metrics, QueueMetrics
from agent_kube.objects import ObjectKey
from agent_kube.source import Source

log = logging.getLogger(__name__)

Reconcile = Callable[[Request], Awaitable[Outcome]]
OnFailure = Callable[[Request, Exception], Awaitable[None]]
Around = Callable[[Request], AbstractContextManager[None]]


class HotLoopError(Terminal):
    """The object's write budget is spent: somebody undoes what is written, or what is written never settles."""

    def __init__(self, probe_s: float) -> None:
        super().__init__(f"written too often, something else changes the same fields; next look in {probe_s:.0f} s")
        self.probe_s = probe_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a controller works.

    `workers`: reconciles at once. `timeout_s`: of one reconcile. `settle_s`: pause after a child's change in which
    more may come. `lag_timeout_s`: longest rest for the caches to show a write. `metadata_triggers`: labels and
    annotations of root objects trigger too. `budget`: of writing passes per object.
    """

    workers: int = 32
    timeout_s: float = 60.0
    settle_s: float = 0.1
    lag_timeout_s: float = 5.0
    metadata_triggers: bool = False
    refused_retry_s: float = 30.0
    budget: Budget = field(default_factory=Budget)


class Controller:
    """Reconciles the objects of `root`.

    `owns`: sources whose objects are controlled by root objects. `watches`: sources with a mapper from an object to
    the keys it concerns. `on_failure` is awaited after a failed pass, and once when a write budget is spent
    (HotLoopError); it may show the failure on the object. `around` wraps each pass and what is logged about it, for
    example in a span and in bound log fields.
    """

    def __init__(  # noqa: PLR0913  seams, all of them optional
        self,
        reconcile: Reconcile,
        *,
        name: str,
        stores: Stores,
        root: Source[Any],
        owns: Sequence[Source[Any]] = (),
        watches: Sequence[tuple[Source[Any], Mapper]] = (),
        settings: Settings | None = None,
        metrics: Metrics | None = None,
        on_failure: OnFailure | None = None,
        around: Around = lambda _request: nullcontext(),
        make_id: Callable[[], str] = lambda: uuid.uuid4().hex[:16],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._reconcile = reconcile
        self._stores = stores
        self._root = root
        self._settings = settings or Settings()
        self._metrics = metrics
        self._on_failure = on_failure
        self._around = around
        self._make_id = make_id
        self._clock = clock
        self._lag = LagTracker(stores, timeout_s=self._settings.lag_timeout_s, clock=clock)
        self._guard = HotLoopGuard(self._settings.budget, clock=clock)
        self._triggers = Triggers(
            stores, root, owns, watches, settle_s=self._settings.settle_s, metadata=self._settings.metadata_triggers
        )
        self._blocked: set[ObjectKey] = set()
        self._unseen: set[ObjectKey] = set()
        self._queue: WorkQueue[ObjectKey] | None = None
        self._stopped = False

    async def run(self) -> None:
        """Reconcile until `stop`, then finish what is being worked on. The caches must be synced."""
        self._queue = queue = self._open_queue()
        if self._stopped:
            queue.close()
        with self._triggers.attached(self._add):
            for obj in self._stores[self._root].items():
                queue.add(obj.key, Priority.BULK)
            async with asyncio.TaskGroup() as workers:
                for _ in range(self._settings.workers):
                    workers.create_task(self._work(queue))

    def stop(self) -> None:
        """Take no more keys, for good; `run` returns when the running reconciles have ended."""
        self._stopped = True
        if self._queue is not None:
            self._queue.close()

    def enqueue(self, key: ObjectKey, after_s: float = 0.0) -> None:
        """Have `key` reconciled, for a reason outside the cluster. Nothing while not running."""
        if self._queue is not None:
            self._queue.add_after(key, after_s)

    def _add(self, trigger: Trigger) -> None:
        """Queue what a change concerns. A change that is none to a reconciler may still end a rest."""
        if self._queue is None:
            return
        if trigger.edited:
            self._guard.forget(trigger.key)
        if trigger.relevant or (self._lag.waits(trigger.key) and self._lag.rest_s(trigger.key) == 0):
            self._queue.add_after(trigger.key, trigger.after_s, trigger.priority)

    async def _work(self, queue: WorkQueue[ObjectKey]) -> None:
        while True:
            try:
                key = await queue.get()
            except QueueClosed:
                return
            try:
                await self._handle(queue, key)
            finally:
                queue.done(key)
            await asyncio.sleep(0)  # a pass that finds nothing to do has awaited nothing: others have their turn now

    async def _handle(self, queue: WorkQueue[ObjectKey], key: ObjectKey) -> None:
        rest_s = self._lag.rest_s(key)
        if rest_s > 0:
            queue.add_after(key, rest_s)
            return
        request = Request(key, self._make_id())
        marker = current_request.set(request)
        try:
            with self._around(request):
                refusal = self._stores.refusal(key.namespace)
                if refusal is None:
                    self._unseen.discard(key)
                    await self._pass_or_hold(queue, request)
                else:
                    await self._wait_for_rights(queue, request, refusal)
        finally:
            current_request.reset(marker)

    async def _pass_or_hold(self, queue: WorkQueue[ObjectKey], request: Request) -> None:
        probe_s = self._guard.blocked_s(request.key)
        if probe_s > 0:
            await self._hold(queue, request, probe_s)
        else:
            self._blocked.discard(request.key)
            await self._pass(queue, request)

    async def _hold(self, queue: WorkQueue[ObjectKey], request: Request, probe_s: float) -> None:
        queue.add_after(request.key, probe_s)
        if request.key not in self._blocked:
            self._blocked.add(request.key)
            log.warning("%s %s: write budget spent, next look in %.0f s", self.name, request.key, probe_s)
            if self._metrics:
                self._metrics.hot_loops.labels(self.name).inc()
            await self._show_failure(request, HotLoopError(probe_s))

    async def _wait_for_rights(self, queue: WorkQueue[ObjectKey], request: Request, refusal: Forbidden) -> None:
        """What is there cannot be seen, so nothing is decided by it; the object says why, once."""
        if self._stores[self._root].get(request.key) is None:
            return
        queue.add_after(request.key, self._settings.refused_retry_s)
        if request.key not in self._unseen:
            self._unseen.add(request.key)
            await self._show_failure(request, refusal)

    async def _pass(self, queue: WorkQueue[ObjectKey], request: Request) -> None:
        started = self._clock()
        active = self._metrics.active.labels(self.name) if self._metrics else None
        if active:
            active.inc()
        try:
            outcome = await self._attempt(request)
        finally:
            if active:
                active.dec()
        result = await self._conclude(queue, request, outcome)
        if self._metrics:
            self._metrics.times.labels(self.name).observe(self._clock() - started)
            self._metrics.reconciles.labels(self.name, result).inc()

    async def _attempt(self, request: Request) -> Outcome | Exception:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._reconcile(request)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return RuntimeError("the reconcile was cancelled from within")
        except TimeoutError:
            return Retryable(f"the reconcile took longer than {self._settings.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001  whatever a reconciler raises must not end the worker
            return error

    async def _conclude(self, queue: WorkQueue[ObjectKey], request: Request, outcome: Outcome | Exception) -> str:
        """Decide what happens next with the key; answers the result's name in the metrics."""
        key = request.key
        if request.writes.count:
            self._guard.wrote(key, request.writes.children)
            self._lag.wrote(key, request.writes)
        if isinstance(outcome, Waiting):
            log.info("%s %s waits: %s", self.name, key, outcome)
            outcome = RequeueAfter(outcome.after_s)
        if isinstance(outcome, Exception):
            return await self._fail(queue, request, outcome)
        queue.forget(key)
        if isinstance(outcome, RequeueAfter):
            queue.add_after(key, outcome.seconds)
            return "requeue_after"
        if self._stores[self._root].get(key) is None:
            self._forget(key)
        return "success"

    async def _fail(self, queue: WorkQueue[ObjectKey], request: Request, error: Exception) -> str:
        key = request.key
        if request.writes.count:  # it got further than the last time: begin with the shortest pause
            queue.forget(key)
        if isinstance(
            error, Terminal
        ):  # what refused it, such as a webhook, may be mended without a change of the object
            pause_s = queue.retry(key, self._settings.refused_retry_s)
            log.error("%s %s is refused: %s; again in %.0f s", self.name, key, error, pause_s)
        elif isinstance(error, Retryable):
            pause_s = queue.retry(key, error.retry_after_s or 0.0, error.longest_pause_s)
            log.warning("%s %s failed: %s; again in %.1f s", self.name, key, error, pause_s)
        else:
            pause_s = queue.retry(key)
            log.error("%s %s failed unexpectedly; again in %.1f s", self.name, key, pause_s, exc_info=error)
        if self._metrics:
            self._count_failure(self._metrics, error)
        await self._show_failure(request, error)
        return "error"

    def _count_failure(self, metrics: Metrics, error: Exception) -> None:
        metrics.errors.labels(self.name).inc()
        if isinstance(error, Terminal):
            metrics.terminal_errors.labels(self.name).inc()
        elif not isinstance(error, Retryable):
            metrics.panics.labels(self.name).inc()

    async def _show_failure(self, request: Request, error: Exception) -> None:
        if self._on_failure is None:
            return
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await self._on_failure(request, error)
        except Exception as second:  # noqa: BLE001  showing a failure must not end the worker either
            log.warning("%s %s: the failure could not be shown: %s", self.name, request.key, second)

    def _forget(self, key: ObjectKey) -> None:
        self._lag.forget(key)
        self._guard.forget(key)
        self._blocked.discard(key)
        self._unseen.discard(key)

    def _open_queue(self) -> WorkQueue[ObjectKey]:
        if self._metrics is None:
            return WorkQueue(tenant=_namespace)
        observer = QueueMetrics(self._metrics.queue, self.name)
        self._metrics.workers.labels(self.name).set(self._settings.workers)
        queue: WorkQueue[ObjectKey] = WorkQueue(observer=observer, tenant=_namespace)
        observer.observe(lambda: len(queue), queue.ages_s)
        return queue


def _namespace(key: ObjectKey) -> str:
    return key.namespace
