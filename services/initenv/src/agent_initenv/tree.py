"""Folders as whole trees: made readable for the agent's own user id, measured, checked for links that leave."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent_api.initreport import InitFault
from agent_base.removal import remove_tree
from agent_initenv.errors import StepError

FOLDER_MODE: Final = 0o755
FILE_MODE: Final = 0o644
PROGRAM_MODE: Final = 0o755


def normalise_modes(tree: Path) -> int:
    """Give every entry a mode that any user can read; the size of all files in bytes.

    Raises StepError (PathEscapes) for a symbolic link that points out of the tree.
    """
    root = os.path.realpath(tree)
    size_bytes = 0
    tree.chmod(FOLDER_MODE)
    for entry in walk(tree):
        if entry.is_symlink():
            _check_link(entry.path, root)
        elif entry.is_dir(follow_symlinks=False):
            os.chmod(entry.path, FOLDER_MODE)  # noqa: PTH101 - a Path per entry doubles the time of the walk
        else:
            status = entry.stat(follow_symlinks=False)
            size_bytes += status.st_size
            wanted = file_mode(status.st_mode)
            if stat.S_IMODE(status.st_mode) != wanted:
                os.chmod(entry.path, wanted)  # noqa: PTH101 - likewise
    return size_bytes


def walk(tree: Path) -> Iterator["os.DirEntry[str]"]:
    """Every entry below `tree`, folders before what is in them; links are not followed."""
    waiting = [str(tree)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def file_mode(mode: int) -> int:
    """Readable for all, and executable for all when it was for anybody."""
    return PROGRAM_MODE if mode & 0o111 else FILE_MODE


def is_inside(path: str, root: str) -> bool:
    """Whether the real path `path` is `root` or below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")


def remove(path: Path) -> None:
    """Remove a file, a link or a whole tree; nothing there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        remove_tree(path)


def _check_link(path: str, root: str) -> None:
    target = os.readlink(path)  # noqa: PTH115 - paths of scandir are strings
    if target.startswith("/") or not is_inside(os.path.realpath(path), root):
        raise StepError(
            InitFault.PATH_ESCAPES,
            f"The symbolic link {os.path.relpath(path, root)} points to {target}, which is outside of its folder.",
            "Replace the link by a copy, or make it point to something inside the folder.",
        )
