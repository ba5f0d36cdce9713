"""Files of Git LFS: git-lfs fetches their content, and this program puts it in the place of the pointers.

git-lfs writes only below .git: a checkout of its own would follow links that the repository brings. It asks the
server that goes with the repository's address, whatever the repository's own settings say.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_api.initreport import InitFault
from agent_initenv.code.gitaccess import Git
from agent_initenv.errors import StepError
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import walk

LARGEST_BYTES: Final = 16 << 30
"""Of all files of a repository together."""
_MOST_FILES: Final = 10_000
_POINTER: Final = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize ([0-9]{1,15})\n"
)
_ALL_FILES: Final = ("--include=", "--exclude=")
"""Whatever the repository's .lfsconfig leaves out: each pointer is replaced."""
_LARGEST_POINTER_BYTES: Final = 1024


@dataclass(frozen=True)
class Pointer:
    """A file that stands for a larger one."""

    path: Path
    oid: str
    size_bytes: int


def find_pointers(tree: Path) -> Iterator[Pointer]:
    """The pointers below `tree`, outside of .git."""
    for entry in walk(tree):
        if f"{os.sep}.git{os.sep}" in entry.path or not entry.is_file(follow_symlinks=False):
            continue
        if entry.stat(follow_symlinks=False).st_size <= _LARGEST_POINTER_BYTES:
            path = Path(entry.path)
            if found := _POINTER.fullmatch(path.read_bytes()):
                yield Pointer(path, found[1].decode(), int(found[2]))


def fetch_large_files(git: Git, repository: str, clone: Path, retry: RetryPolicy) -> None:
    """Replace each pointer of the checked out revision by its content. Raises StepError."""
    pointers = list(find_pointers(clone))
    if not pointers:
        return
    _check_room(pointers, clone)
    git.run("name the remote", ["config", "remote.origin.url", repository], clone, retry)
    command = ["-c", f"lfs.url={server_of(repository)}", "lfs", "fetch", *_ALL_FILES, "origin", "HEAD"]
    largest_bytes = max(pointer.size_bytes for pointer in pointers)
    git.run("fetch the files of Git LFS", command, clone, retry, largest_file_bytes=largest_bytes + (1 << 20))
    for pointer in pointers:
        _put_in_place(pointer, clone)


def server_of(repository: str) -> str:
    """The address of the LFS server that goes with a repository, as git-lfs derives it."""
    if repository.startswith(("http://", "https://")):
        address = repository.rstrip("/")
        return f"{address}/info/lfs" if address.endswith(".git") else f"{address}.git/info/lfs"
    return f"file://{repository}" if repository.startswith("/") else repository


def _check_room(pointers: list[Pointer], clone: Path) -> None:
    total_bytes = sum(pointer.size_bytes for pointer in pointers)
    room_bytes = min(LARGEST_BYTES, shutil.disk_usage(clone).free)
    if total_bytes > room_bytes or len(pointers) > _MOST_FILES:
        raise StepError(
            InitFault.DISK_FULL,
            f"The {len(pointers)} files of Git LFS have {total_bytes} bytes; there is room for {room_bytes} in at most "
            f"{_MOST_FILES} files.",
        )


def _put_in_place(pointer: Pointer, clone: Path) -> None:
    """As a link where that is possible: several pointers may stand for one content, and it needs room once."""
    content = clone / ".git/lfs/objects" / pointer.oid[:2] / pointer.oid[2:4] / pointer.oid
    if not content.is_file() or content.stat().st_size != pointer.size_bytes:
        name = os.path.relpath(pointer.path, clone)
        raise StepError(InitFault.CODE_NOT_FOUND, f"The server has not sent the file {name} of Git LFS.")
    mode = pointer.path.stat().st_mode
    pointer.path.unlink()
    _link_or_copy(content, pointer.path, mode)
    pointer.path.chmod(mode)


def _link_or_copy(content: Path, path: Path, mode: int) -> None:
    """Files that are linked share their mode, so that one of another mode is a copy."""
    there = content.stat()
    if there.st_nlink == 1 or there.st_mode == mode:
        with contextlib.suppress(OSError):
            os.link(content, path)
            return
    shutil.copyfile(content, path)
