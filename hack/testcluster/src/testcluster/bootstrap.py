"""Installs, from the distribution's own packages, what a node and image builds need of the host."""

import os
import shutil
import subprocess
from pathlib import Path

from .errors import CommandError, MissingProgramError, UsageError
from .host import CNI_FOLDER

PACKAGES = {
    "openssl": "openssl",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
}
"""Each program, and the Debian package it is in."""
CNI_PACKAGE = "containernetworking-plugins"


def missing_packages() -> list[str]:
    """Packages whose program is not there, each once."""
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    if not (CNI_FOLDER / "ptp").exists():
        missing.add(CNI_PACKAGE)
    return sorted(missing)


def install() -> None:
    """Installs what is missing and says what that is. Raises UsageError without root."""
    missing = missing_packages()
    if not missing:
        print("everything is there")
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if not shutil.which("apt-get"):
        raise MissingProgramError(f"this is not Debian: install what it calls {', '.join(missing)}")
    if os.geteuid() != 0:
        raise UsageError(f"root is needed: sudo {' '.join(command)}")
    print(f"installing {', '.join(missing)}", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if not any(Path("/var/lib/apt/lists").glob("*Packages*")):
        _run(["apt-get", "update"], env)
    _run(command, env)


def _run(command: list[str], env: dict[str, str]) -> None:
    if subprocess.run(command, env=env, check=False).returncode:
        raise CommandError(f"{' '.join(command)} failed")
