"""The agent's memory as a sidecar keeps an eye on it: one probe every few seconds, for the report and the metrics.

How a memory is asked is the sidecar's affair: the kit knows no Redis.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agent_api.memoryreport import MemoryReport

PROBE_EVERY_S: Final = 5.0
_log = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[MemoryReport]]
"""Asks the memory once. Raises nothing that a server can cause, and ends in its own time."""


class MemoryWatch:
    """`report` is what was found last: None without a memory, and until the first answer of one."""

    def __init__(self) -> None:
        self.report: MemoryReport | None = None
        self._probe: Probe | None = None
        self._moved = asyncio.Event()

    def use(self, probe: Probe | None, report: MemoryReport | None = None) -> None:
        """Look at another memory, of which `report` is known so far; without a probe nobody looks."""
        self._probe, self.report = probe, report
        self._moved.set()

    async def run(self) -> None:
        """Probe for ever, and at once when there is another memory."""
        while True:
            self._moved.clear()
            await self._look()
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    await self._moved.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        """What a memory answers that is no longer in use counts for nothing."""
        probe = self._probe
        if probe is None:
            return
        report = await probe()
        if probe is self._probe:
            self._note(report)

    def _note(self, report: MemoryReport) -> None:
        if self.report is None or self.report.reachable != report.reachable:
            level = logging.INFO if report.reachable else logging.WARNING
            word = "reachable" if report.reachable else "unreachable"
            _log.log(level, "memory %s", word, extra={"reason": report.error})
        self.report = report


class MemoryGauge(Collector):
    """`agentberth_memory_reachable`; no series where there is no memory, since 0 would be an alarm."""

    def __init__(self, watch: MemoryWatch) -> None:
        self._watch = watch

    def collect(self) -> Iterator[Metric]:
        """What the last look found."""
        family = GaugeMetricFamily("agentberth_memory_reachable", "1 while the agent's memory can be used.")
        report = self._watch.report
        if report is not None:
            family.add_metric([], float(report.reachable))
        yield family
