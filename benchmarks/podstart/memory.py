"""What the containers of a Pod of this machine hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.deployment import processes_of

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """One container: proportional set size, and the working set that its limit is held against."""

    name: str
    pss_mb: float = 0
    working_set_mb: float = 0

    def plus(self, other: "Memory") -> "Memory":
        """Both together, under this name."""
        return Memory(self.name, self.pss_mb + other.pss_mb, self.working_set_mb + other.working_set_mb)

    def row(self) -> str:
        """A line of the table."""
        return f"| {self.name} | {self.pss_mb:.0f} | {self.working_set_mb:.0f} |"


def measure(pod: dict[str, Any]) -> list[Memory]:
    """Each running container of the Pod, in the order they started."""
    status = pod["status"]
    found = [*status.get("initContainerStatuses", ()), *status["containerStatuses"]]
    return [
        _container(one["name"], one["containerID"].rpartition("/")[2]) for one in found if "running" in one["state"]
    ]


def _container(name: str, identity: str) -> Memory:
    pids = processes_of(identity)
    return Memory(name, sum(_pss_mb(pid) for pid in pids), _working_set_mb(pids[0]))


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024 / 1e6


def _working_set_mb(pid: int) -> float:
    """As the kubelet counts it: what the cgroup is charged, without file pages that are easily given back."""
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    controllers = {line.split(":")[1]: line.split(":", 2)[2] for line in lines}
    v2 = "memory" not in controllers
    folder = CGROUPS / controllers[""].lstrip("/") if v2 else CGROUPS / "memory" / controllers["memory"].lstrip("/")
    usage = int((folder / ("memory.current" if v2 else "memory.usage_in_bytes")).read_text())
    wanted = "inactive_file" if v2 else "total_inactive_file"
    stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    return (usage - int(stat[wanted])) / 1e6
