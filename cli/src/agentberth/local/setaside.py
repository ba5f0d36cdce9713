"""A run that begins with nothing: its workspace and memory are others, and those of before come back at its end."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent_api import layout
from agent_base.removal import remove_tree
from agentberth.errors import CommandError
from agentberth.local.memory import DATA

_KEPT: Final = "set-aside"
_FOLDERS: Final = (layout.WORKSPACE.strip("/"), DATA)


def bring_back(root: Path) -> None:
    """Puts back what a run that was killed has left aside."""
    kept = root / _KEPT
    for name in _FOLDERS if kept.is_dir() else ():
        if (kept / name).is_dir():
            _remove(root / name)
            (kept / name).rename(root / name)
    _remove(kept)


@contextlib.contextmanager
def clean(root: Path, workspace: Path | None) -> Iterator[None]:
    """Inside, the agent has an empty memory, and an empty workspace or a copy of `workspace`. Raises CommandError."""
    try:
        (root / _KEPT).mkdir()
        for name in _FOLDERS:
            if (root / name).is_dir():
                (root / name).rename(root / _KEPT / name)
                (root / name).mkdir()
        if workspace is not None:
            shutil.copytree(workspace, root / _FOLDERS[0], dirs_exist_ok=True)
    except OSError as error:
        bring_back(root)
        raise CommandError(f"{error.filename}: {error.strerror}") from error
    try:
        yield
    finally:
        for name in _FOLDERS:
            _remove(root / name)
        bring_back(root)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # what is left is told when the next run needs its place
        remove_tree(folder)
