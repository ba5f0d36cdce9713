"""Removes a folder that somebody hostile may have filled.

`shutil.rmtree` holds a file descriptor, and before Python 3.13 a frame of the stack, for each level: a chain of a few
thousand folders ends the process that cleans up. Here folders are moved up until none is deeper than two levels, so
that neither descriptors nor paths grow. Links are removed and never followed.
"""

import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_OWN: Final = stat.S_IRWXU
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_USUAL_DEPTH: Final = 64
"""Levels. Trees of packages are not deeper, and the quick way is good enough for them."""


def remove_tree(folder: Path) -> None:
    """Remove `folder` and all below it; a folder that is not there is fine.

    Raises OSError, as for what another user owns.
    """
    if not folder.is_symlink() and not folder.is_dir():
        return
    if _is_usual(folder):
        with suppress(OSError):
            shutil.rmtree(folder)
            return
    top = os.open(folder, _FOLDER)
    try:
        os.fchmod(top, _OWN)
        _empty(top)
    finally:
        os.close(top)
    folder.rmdir()


def _is_usual(folder: Path) -> bool:
    """Whether no folder below is deeper than usual, or hides how deep it is."""
    waiting = [(str(folder), 0)]
    while waiting:
        path, depth = waiting.pop()
        if depth > _USUAL_DEPTH:
            return False
        try:
            with os.scandir(path) as entries:
                waiting += [(entry.path, depth + 1) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            return False
    return True


def _empty(top: int) -> None:
    mark = secrets.token_hex(8)  # no name that a stranger could have taken before
    moved = 0
    while names := os.listdir(top):
        for name in names:
            if not _unlink(name, top):
                moved = _lift(name, top, mark, moved)


def _lift(name: str, top: int, mark: str, moved: int) -> int:
    """Empty the folder `name`: its files are removed, its folders moved to `top`. How many were moved by now."""
    os.chmod(name, _OWN, dir_fd=top)
    folder = os.open(name, _FOLDER, dir_fd=top)
    try:
        for inner in os.listdir(folder):  # noqa: PTH208 - likewise
            if not _unlink(inner, folder):
                os.chmod(inner, _OWN, dir_fd=folder)
                moved += 1
                os.rename(inner, f"{mark}-{moved}", src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)
    return moved


def _unlink(name: str, folder: int) -> bool:
    """Remove what is no folder; whether it was that."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.unlink(name, dir_fd=folder)
    return True
