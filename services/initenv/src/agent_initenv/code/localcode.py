"""Code from a folder that is mounted into the init container: a ConfigMap, a claim, or a laptop's folder.

A ConfigMap volume shows each key as a link into a folder whose name begins with `..`; those names are not
copied, and a link through them is replaced by what it points to. Any other link is kept when it stays inside.

The folder may change meanwhile, and its other writers may be hostile: what was found is opened component by component
without following links, so that one that was swapped in leads nowhere.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from agent_api.initplan import LocalCode
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED_CODE
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import is_inside, normalise_modes
from agent_initenv.volume import OWN_FOLDER, Stamp, digest

NOT_COPIED: Final = frozenset({".git", "__pycache__", "node_modules", ".venv", OWN_FOLDER})


@dataclass(frozen=True)
class Found:
    """One thing to copy: its place in the copy, and the real path it comes from or the text of the link."""

    place: str
    origin: str
    link: str = ""
    is_folder: bool = False


class LocalCodeStep:
    """Copies the folder to /shared/code."""

    name: StepName = "code"

    def __init__(self, code: LocalCode, context: StepContext) -> None:
        self._folder = context.volume.locate(code.folder)
        self._context = context
        self._target = context.volume.locate(SHARED_CODE)
        self.title = f"from {code.folder}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether no file of the folder has another size, time or mode than when it was copied."""
        del retry
        return self._target.is_dir() and stamp.fingerprint == self._fingerprint(self._find())

    def build(self, retry: RetryPolicy) -> Stamp:
        """Copy to staging, then replace /shared/code."""
        retry.left_s()
        found = self._find()
        fingerprint = self._fingerprint(found)
        staged = self._context.volume.stage(self.name)
        copy(self._folder, found, staged, retry.left_s)
        count = sum(not one.is_folder for one in found)
        stamp = Stamp(fingerprint, detail=f"{count} files", size_bytes=normalise_modes(staged))
        self._context.volume.publish(self.name, staged, self._target, stamp)
        return stamp

    def _find(self) -> list[Found]:
        if not self._folder.is_dir():
            raise StepError(
                InitFault.CODE_NOT_FOUND,
                f"The folder {self._folder} with the agent's code is not there.",
                "Check the ConfigMap, the claim or the path of spec.agent.code.source.",
            )
        return list(find(self._folder))

    def _fingerprint(self, found: list[Found]) -> str:
        return digest("local", [(one.place, one.link, _state(one)) for one in found])


def copy(folder: Path, found: Sequence[Found], staged: Path, check_time: Callable[[], object]) -> None:
    """Copy what was found in `folder` to `staged`. `check_time` raises when there is none left.

    Raises StepError (PathEscapes) for a file in whose place, or on whose way, there is a link now.
    """
    root = os.path.realpath(folder)
    for one in found:
        place = staged / one.place
        if one.is_folder:
            place.mkdir()
        elif one.link:
            place.symlink_to(one.link)
        else:
            with open(_open_inside(root, one.origin), "rb") as source, place.open("wb") as target:
                shutil.copyfileobj(source, target)
                place.chmod(os.fstat(source.fileno()).st_mode & 0o777)
        check_time()


def find(folder: Path) -> Iterator[Found]:
    """What to copy of `folder`, folders before what is in them, in a stable order.

    Raises StepError (PathEscapes) for a link that points out of the folder.
    """
    root = os.path.realpath(folder)
    yield from _find_in(root, root, "", (root,))


def _find_in(root: str, real: str, place: str, entered: tuple[str, ...]) -> Iterator[Found]:
    folder = _open_inside(root, real, os.O_DIRECTORY)
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - a descriptor
    finally:
        os.close(folder)
    for name in names:
        if not _is_skipped(name):
            yield from _find_entry(root, f"{real}/{name}", f"{place}/{name}" if place else name, entered)


def _find_entry(root: str, path: str, place: str, entered: tuple[str, ...]) -> Iterator[Found]:
    real = os.path.realpath(path)
    if not is_inside(real, root):
        raise StepError(
            InitFault.PATH_ESCAPES,
            f"The symbolic link {place} points out of the folder with the agent's code.",
            "Replace the link by a copy of what it points to.",
        )
    inner = PurePosixPath(os.path.relpath(real, root))
    if os.path.islink(path) and not any(map(_is_skipped, inner.parts)):  # noqa: PTH114 - strings of scandir
        yield Found(place, real, link=os.path.relpath(inner, PurePosixPath(place).parent))
    elif os.path.isdir(real):  # noqa: PTH112 - likewise
        if real in entered:
            raise StepError(InitFault.PATH_ESCAPES, f"The symbolic link {place} points to a folder it is in.")
        yield Found(place, real, is_folder=True)
        yield from _find_in(root, real, place, (*entered, real))
    elif os.path.isfile(real):  # noqa: PTH113 - likewise
        yield Found(place, real)


def _open_inside(root: str, real: str, kind: int = 0) -> int:
    """A descriptor of the file `real` below `root`, on the way to which no link is followed."""
    parts = PurePosixPath(os.path.relpath(real, root)).parts
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, 1):
        outer = at
        flags = kind | os.O_NONBLOCK if number == len(parts) else os.O_DIRECTORY
        try:
            at = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=outer)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENOENT}:
                raise _changed(real, root) from error
            raise
        finally:
            os.close(outer)
    if not kind and not stat.S_ISREG(os.fstat(at).st_mode):
        os.close(at)
        raise _changed(real, root)
    return at


def _changed(real: str, root: str) -> StepError:
    return StepError(
        InitFault.PATH_ESCAPES,
        f"{os.path.relpath(real, root)} in the folder with the agent's code became another thing while it was copied.",
        "Let nothing write to the folder while agents start.",
    )


def _is_skipped(name: str) -> bool:
    return name in NOT_COPIED or name.startswith("..")


def _state(found: Found) -> tuple[int, int, int] | None:
    if found.link or found.is_folder:
        return None
    status = Path(found.origin).stat()
    return status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode)
