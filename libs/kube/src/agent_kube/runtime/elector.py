"""Leadership by a Lease, safe against the two ways to have two leaders.

A leader that cannot renew stops: the time of its last successful renewal is taken on the monotonic clock before the
request is sent, and when `renew_deadline_s` has passed since, the leading task is cancelled, with the rest of the
lease as its time to stop; if it does not, the process ends. And a leading task that ends takes the lease with it.

A candidate judges a lease by its own clock too: it is free when its holder is empty or when it has not changed for
its duration since this candidate first saw it so. Wall clocks are written, never compared.
"""

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent_kube.client.client import Client, Manifest
from agent_kube.errors import Conflict, KubeError, LeadershipLost, NotFound, first_error
from agent_kube.objects import ObjectKey
from agent_kube.resources import LEASES
from agent_kube.timestamps import micro_time, utc_now

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTimes:
    """Durations of an election, in seconds.

    `retry_s` is how often the leader renews and candidates look, spread by up to `jitter` of it. `margin_s` before the
    end of a lease that is no longer renewed the process ends, if the leading task has not stopped by then.
    """

    lease_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_s: float = 2.0
    margin_s: float = 1.0
    call_s: float = 4.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if not self.retry_s * (1 + self.jitter) < self.renew_deadline_s < self.lease_s - self.margin_s:
            raise ValueError("lease times must satisfy retry < renew deadline < lease - margin")


@dataclass(slots=True)
class Observed:
    """A lease as last read, and when it was first seen in that state (monotonic)."""

    spec: dict[str, Any]
    since: float


def exit_process() -> None:
    """End the process without cleaning up: the lease is about to be another's."""
    os._exit(1)


class Elector:
    """Candidate for one Lease under a unique `identity`."""

    def __init__(  # noqa: PLR0913  seams, all of them optional
        self,
        client: Client,
        *,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes | None = None,
        on_change: Callable[[bool], None] = lambda _leading: None,
        abort: Callable[[], None] = exit_process,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._key = ObjectKey(namespace, name)
        self._identity = identity
        self._times = times or LeaseTimes()
        self._on_change = on_change
        self._abort = abort
        self._clock = clock
        self._now = now
        self._chance = chance
        self._observed: Observed | None = None
        self._lease: Manifest = {}
        self._renewed_at = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for leadership, then run `lead` while renewing. Returns or raises what `lead` does, lease released.

        Cancelled while leading: `lead` is cancelled and awaited, then the lease is released. Raises LeadershipLost
        when the lease could not be renewed in time.
        """
        await self._acquire()
        log.info("%s leads %s", self._identity, self._key)
        self._on_change(True)
        try:
            await self._couple(lead)
        except LeadershipLost:
            log.error("%s has lost %s", self._identity, self._key)  # noqa: TRY400  the error says it all
            raise
        except BaseException:
            await self._release()
            raise
        else:
            await self._release()
        finally:
            self._on_change(False)

    # candidate

    async def _acquire(self) -> None:
        while True:
            try:
                if await self._try_acquire():
                    return
            except KubeError as error:
                log.warning("election %s: %s", self._key, error)
            await self._sleep()

    async def _try_acquire(self) -> bool:
        started = self._clock()
        try:
            lease = await self._client.get(LEASES, self._key, timeout_s=self._times.call_s)
        except NotFound:
            return await self._take(None, started)
        spec = lease.get("spec") or {}
        if self._observed is None or self._observed.spec != spec:
            self._observed = Observed(spec, self._clock())
        if not self._is_free(self._observed):
            return False
        return await self._take(lease, started)

    def _is_free(self, observed: Observed) -> bool:
        holder = observed.spec.get("holderIdentity")
        duration_s = float(observed.spec.get("leaseDurationSeconds") or self._times.lease_s)
        return not holder or holder == self._identity or self._clock() - observed.since >= duration_s

    async def _take(self, lease: Manifest | None, started: float) -> bool:
        old = (lease.get("spec") or {}) if lease else {}
        transitions = int(old.get("leaseTransitions") or 0)
        stamp = micro_time(self._now())
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._times.lease_s)),
            "acquireTime": stamp,
            "renewTime": stamp,
            "leaseTransitions": transitions + (1 if lease else 0),
        }
        try:
            self._lease = await self._write(lease, spec)
        except Conflict:
            return False
        self._renewed_at = started
        return True

    # leader

    async def _couple(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Run `lead` and the renewal until one of them ends, which ends the other."""
        try:
            async with asyncio.TaskGroup() as group:
                renewing = group.create_task(self._renew())
                group.create_task(self._follow(lead, renewing))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        finally:
            if self._watchdog is not None:
                self._watchdog.cancel()

    async def _follow(self, lead: Callable[[], Awaitable[None]], renewing: asyncio.Task[None]) -> None:
        await lead()
        renewing.cancel()

    async def _renew(self) -> None:
        """Renew until cancelled. Raises LeadershipLost. However it ends, the lease's remaining time begins to run."""
        try:
            while True:
                await self._sleep()
                await self._renew_once()
        finally:
            left_s = self._renewed_at + self._times.lease_s - self._times.margin_s - self._clock()
            self._watchdog = asyncio.get_running_loop().call_later(max(0.0, left_s), self._abort)

    async def _renew_once(self) -> None:
        """Renew the lease, trying again until the deadline."""
        while True:
            started = self._clock()
            left_s = self._renewed_at + self._times.renew_deadline_s - started
            if left_s <= 0:
                raise LeadershipLost(
                    f"the lease {self._key} could not be renewed for {self._times.renew_deadline_s:g} s"
                )
            try:
                spec = {**self._lease["spec"], "renewTime": micro_time(self._now())}
                self._lease = await self._write(self._lease, spec, timeout_s=left_s)
            except Conflict:
                await self._reread(left_s)
            except KubeError as error:
                log.warning("renewing %s: %s", self._key, error)
                await asyncio.sleep(min(left_s, self._times.retry_s / 2))
            else:
                self._renewed_at = started
                return

    async def _reread(self, timeout_s: float) -> None:
        """The lease was written since we did: by another, or by a renewal of ours whose answer was lost."""
        try:
            self._lease = await self._client.get(LEASES, self._key, timeout_s=timeout_s)
        except KubeError as error:
            log.warning("reading %s: %s", self._key, error)
            await asyncio.sleep(self._times.retry_s / 2)
            return
        holder = (self._lease.get("spec") or {}).get("holderIdentity")
        if holder != self._identity:
            raise LeadershipLost(f"the lease {self._key} was taken by {holder or 'nobody'}")

    async def _release(self) -> None:
        """Write an empty holder, so that the next leader need not wait for the lease to expire."""
        spec = {**self._lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        spec["renewTime"] = micro_time(self._now())
        try:
            await self._write(self._lease, spec)
        except KubeError as error:
            log.warning("the lease %s was not released: %s", self._key, error)

    async def _write(self, lease: Manifest | None, spec: dict[str, Any], *, timeout_s: float | None = None) -> Manifest:
        timeout_s = min(timeout_s or self._times.call_s, self._times.call_s)
        if lease is None:
            metadata = {"name": self._key.name, "namespace": self._key.namespace}
            manifest = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
            return await self._client.create(LEASES, manifest, timeout_s=timeout_s)
        return await self._client.replace(LEASES, {**lease, "spec": spec}, timeout_s=timeout_s)

    async def _sleep(self) -> None:
        await asyncio.sleep(self._times.retry_s * (1 + self._times.jitter * self._chance()))
