"""A Debian root filesystem from the distribution's packages alone, as an archive in the cache."""

import os
import shutil
import tempfile
from pathlib import Path

from testcluster.progress import run_noted

from .engine import stream
from .errors import BuildFailedError

SUITE = "trixie"
INCLUDED = "ca-certificates"
LEFT_OUT = ("dev/*", "var/cache/apt/*.bin", "var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "var/log/*.log")
DOCUMENTATION = ("usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*")
DPKG_RULES = "".join(f"path-exclude /{pattern}\n" for pattern in DOCUMENTATION) + (
    "path-include /usr/share/doc/*/copyright\n"
)


def make_rootfs(target: Path, *, mirror: str = "") -> None:
    """Writes a tar of a minimal Debian. `mirror` is a package archive's URL; empty means debootstrap's own.

    Raises BuildFailedError.
    """
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise BuildFailedError("base images need root and debootstrap: run hack/testcluster/bootstrap")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rootfs-", dir=target.parent) as scratch:
        tree = Path(scratch) / "root"
        argv = ["debootstrap", "--variant=minbase", f"--include={INCLUDED}", SUITE, str(tree)]
        command = [*argv, mirror] if mirror else argv
        run_noted(command, label=f"debootstrap {SUITE}", unit="steps", cwd=Path(scratch), env=os.environ)
        (tree / "etc/dpkg/dpkg.cfg.d/no-documentation").write_text(DPKG_RULES)
        _pack(tree, Path(scratch) / "root.tar")
        (Path(scratch) / "root.tar").replace(target)


def _pack(tree: Path, target: Path) -> None:
    patterns = [f"--exclude=./{pattern}" for pattern in (*LEFT_OUT, *DOCUMENTATION)]
    stream(["tar", "--numeric-owner", *patterns, "-C", str(tree), "-cf", str(target), "."])
