"""What a node needs of its host, and what it would leave behind on it."""

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .cache import replace_text
from .errors import CommandError, MissingProgramError, UsageError

CONTROL_PLANE_PROGRAMS = ("openssl", "setpriv")
NODE_PROGRAMS = (
    *CONTROL_PLANE_PROGRAMS,
    "unshare",
    "nsenter",
    "mount",
    "ip",
    "iptables",
    "conntrack",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
)
CNI_FOLDER = Path("/usr/lib/cni")
CNI_PLUGINS = ("ptp", "host-local", "portmap", "loopback")
SYSCTLS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")
"""Settings of the whole host that kubelet writes; `down` writes the former values back."""
CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_ATTEMPTS = 100


def require_programs(names: Iterable[str]) -> None:
    """Raises MissingProgramError that names all that is not on the PATH."""
    missing = [name for name in names if not shutil.which(name)]
    if missing:
        raise MissingProgramError(f"missing on the PATH: {', '.join(missing)}; run hack/testcluster/bootstrap")


def require_node_host() -> None:
    """Raises when this host cannot run a node: no root, or programs are missing."""
    if os.geteuid() != 0:
        raise UsageError("a node with real Pods needs root (namespaces, mounts); --control-plane does not")
    require_programs(NODE_PROGRAMS)
    missing = [name for name in CNI_PLUGINS if not (CNI_FOLDER / name).exists()]
    if missing:
        raise MissingProgramError(f"missing in {CNI_FOLDER}: {', '.join(missing)}; run hack/testcluster/bootstrap")


def run_command(argv: Sequence[str], *, check: bool = True) -> str:
    """Runs a short command and returns its output. Raises CommandError with what it said."""
    result = subprocess.run(argv, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if check and result.returncode:
        raise CommandError(f"{' '.join(argv)}: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout


def save_sysctls(file: Path, *, root: Path = Path("/proc/sys")) -> None:
    """Remembers the host's values."""
    values = {name: (root / name).read_text().strip() for name in SYSCTLS if (root / name).exists()}
    replace_text(file, json.dumps(values))


def restore_sysctls(file: Path, *, root: Path = Path("/proc/sys")) -> None:
    """Writes remembered values back, where they differ."""
    if not file.exists():
        return
    for name, value in json.loads(file.read_text()).items():
        if (root / name).read_text().strip() != value:
            (root / name).write_text(value)


def remove_pod_cgroups(root: Path = CGROUP_ROOT) -> None:
    """Removes kubelet's cgroups, under version 1 (one tree per controller) and version 2 (one tree)."""
    for top in [root / "kubepods", *root.glob("*/kubepods")]:
        for folder, _, _ in os.walk(top, topdown=False):
            _remove_cgroup(Path(folder))


def _remove_cgroup(folder: Path) -> None:
    """A cgroup is busy for a moment after its last process has ended."""
    for _ in range(CGROUP_ATTEMPTS):
        with contextlib.suppress(FileNotFoundError):
            try:
                folder.rmdir()
            except FileNotFoundError:
                raise
            except OSError:
                time.sleep(0.02)
                continue
        return
