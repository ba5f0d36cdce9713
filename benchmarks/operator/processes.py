"""What processes have used: CPU time tells more than rates do on a machine that others share."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import TypeVar

from integration.cluster import Cluster, run_cluster

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SELF = "benchmark's client"
T = TypeVar("T")


class CpuMeter:
    """Measures phases: CPU milliseconds for each agent, by process."""

    def __init__(self, cluster: Cluster, operator_pid: int | None = None) -> None:
        components = json.loads(run_cluster("status", "--json", "--home", str(cluster.home)))["components"]
        self._pids = {name: int(state["pid"]) for name, state in components.items()} | {SELF: os.getpid()}
        if operator_pid is not None:
            self._pids["operator"] = operator_pid
        self._start = self._read()

    def per_agent_ms(self, count: int) -> Mapping[str, float]:
        """Used since the meter was made, for each of `count` agents."""
        return {name: (used - self._start[name]) * 1000 / count for name, used in self._read().items()}

    def _read(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def memory_mb(pid: int, field: str) -> float:
    """A field of /proc/PID/status in MB (10^6 bytes)."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024 / 1e6


async def while_runs(pid: int, work: Awaitable[T]) -> T:
    """What `work` finds. Ends the benchmark when process `pid` ends first: nothing would be found any more."""
    task, ended = asyncio.ensure_future(work), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    watch = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            sys.exit(f"error: the operator (pid {pid}) has ended, and not every agent is ready")
        return await task
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        for each in (task, watch):
            each.cancel()
