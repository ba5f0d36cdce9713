"""A container's view of the machine for a sidecar under test: the Pod's user and volumes, and no other file to write.

Needs root. Without it a sidecar runs as the test's own user: the attacks are the same, and the walls that a Pod
adds by user ids and mounts are not there.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from agent_api.layout import POD_GID

REPOSITORY = Path(__file__).parents[2]
SYSTEM = ("/usr", "/etc", "/dev", "/proc")
PRIVILEGES = ("--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
SCRIPT = """
set -eu
root=$1 volumes=$2 uid=$3 gid=$4
shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
mkdir "$root/tmp"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for name in bin lib lib64 sbin; do
    if [ -L "/$name" ]; then ln -s "$(readlink "/$name")" "$root/$name"; fi
done
show() { mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; }
while [ "$1" != -- ]; do
    show "$1"
    case $1 in /dev | /proc) ;; *) mount -o remount,bind,ro "$root$1" ;; esac
    shift
done
shift
show "$volumes"
mount -o remount,ro "$root"
exec chroot "$root" setpriv --reuid "$uid" --regid "$gid" "$@"
"""


@cache
def is_available() -> bool:
    """Whether this user may give a process a root of its own."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@dataclass(frozen=True)
class PodRoot:
    """Runs programs as `uid`; `volumes` is the folder with the Pod's volumes, `root` an empty folder to mount upon."""

    uid: int
    volumes: Path
    root: Path

    def wrap(self, command: Sequence[str], *folders: Path) -> list[str]:
        """`command`, in the same process, as in a container of a Pod; its folder is /. It sees `folders` too."""
        shown = dict.fromkeys((*SYSTEM, str(REPOSITORY), sys.prefix, sys.base_prefix, *map(str, folders)))
        user = (str(self.root), str(self.volumes), str(self.uid), str(POD_GID))
        words = ("sh", "-c", SCRIPT, "sh", *user, *shown, "--", *PRIVILEGES, "--")
        return ["unshare", "--mount", *words, *command]


def make_volume(folder: Path) -> None:
    """An emptyDir of a Pod with fsGroup, whatever it holds by now."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, -1, POD_GID, follow_symlinks=False)
    folder.chmod(0o2777)


def mount_file(path: Path) -> None:
    """A file of a mounted Secret or ConfigMap: root's, for the group to read."""
    os.chown(path, 0, POD_GID)
    path.chmod(0o440)
