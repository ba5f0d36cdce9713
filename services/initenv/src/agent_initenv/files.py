"""The files step: small files under /shared, each put there by one rename.

A path is walked from /shared by descriptors that refuse symbolic links, so that neither `..` nor a link that
an earlier run's code or setup left can lead out. Folders that other steps replace as a whole are refused:
a file in there would vanish, or appear in a tree that is only half its author's.
"""

import errno
import os
from collections.abc import Collection
from hashlib import file_digest
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from agent_api.initplan import PlannedFile
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED, SHARED_BIN, SHARED_CODE, SHARED_GLUE
from agent_base.atomicfile import write_atomically
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import FILE_MODE, FOLDER_MODE, PROGRAM_MODE
from agent_initenv.volume import OWN_FOLDER, Stamp, digest

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_under_shared(path: str, what: str) -> PurePosixPath:
    """The part of `path` below /shared. Raises StepError (PathEscapes) when it is not below."""
    pure = PurePosixPath(path)
    if ".." in pure.parts or not pure.is_relative_to(SHARED) or pure == PurePosixPath(SHARED) or "\0" in path:
        raise StepError(
            InitFault.PATH_ESCAPES,
            f"{what} {path!r} is not a path under {SHARED}.",
            f"Give a path that begins with {SHARED}/ and has no `..` in it.",
        )
    return pure.relative_to(SHARED)


class FilesStep:
    """Writes `files`; `with_code` tells that /shared/code belongs to the code step."""

    name: StepName = "files"

    def __init__(self, files: tuple[PlannedFile, ...], context: StepContext, *, with_code: bool) -> None:
        self._files = files
        self._context = context
        taken = (f"{SHARED}/sdk", f"{SHARED}/node_modules", SHARED_GLUE, f"{SHARED}/{OWN_FOLDER}")
        self._taken = (*taken, SHARED_CODE) if with_code else taken
        self.title = f"{len(files)} file{'s' if len(files) != 1 else ''}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether every file is there as it was written from the same content."""
        del retry
        shared = self._context.volume.shared
        return stamp.fingerprint == self._fingerprint() and all(
            (shared / path).is_file() and not (shared / path).is_symlink() for path in stamp.paths
        )

    def build(self, retry: RetryPolicy) -> Stamp:
        """Write all files and remove those of an earlier plan."""
        del retry
        places = [self._check(file) for file in self._files]
        fingerprint = self._fingerprint()
        earlier = self._context.volume.read_stamp(self.name) or Stamp("")
        paths = [str(place) for place in places]
        self._context.volume.write_stamp(self.name, Stamp("", paths=tuple({*paths, *earlier.paths})))
        self._remove(set(earlier.paths) - set(paths))
        staging = self._context.volume.stage(self.name)
        size_bytes = 0
        for file, place in zip(self._files, places, strict=True):
            size_bytes += self._write(file, place, staging)
        stamp = Stamp(fingerprint, size_bytes=size_bytes, paths=tuple(paths))
        self._context.volume.write_stamp(self.name, stamp)
        return stamp

    def forget(self) -> None:
        """Remove what an earlier plan wrote."""
        stamp = self._context.volume.read_stamp(self.name)
        if stamp is not None:
            self._remove(stamp.paths)
            self._context.volume.drop_stamp(self.name)

    def _check(self, file: PlannedFile) -> PurePosixPath:
        place = check_under_shared(file.path, "The file")
        for folder in self._taken:
            if PurePosixPath(file.path).is_relative_to(folder):
                raise StepError(
                    InitFault.PLAN_INVALID,
                    f"The file {file.path!r} is in {folder}, which another step replaces as a whole.",
                    "Choose another folder under /shared, or copy it there in a setup step.",
                )
        return place

    def _fingerprint(self) -> str:
        return digest([(file.path, self._hash(file)) for file in self._files])

    def _hash(self, file: PlannedFile) -> str:
        with self._open(file) as content:
            return file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type] # BytesIO is fine too

    def _open(self, file: PlannedFile) -> BinaryIO:
        if file.source is None:
            return BytesIO((file.content or "").encode())
        try:
            return self._context.volume.locate(file.source).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise StepError(
                InitFault.FILE_MISSING, f"The source {file.source} of the file {file.path} is not there."
            ) from error

    def _write(self, file: PlannedFile, place: PurePosixPath, staging: Path) -> int:
        executable = PurePosixPath(file.path).is_relative_to(SHARED_BIN)
        mode = PROGRAM_MODE if executable else FILE_MODE
        folder = _open_folder(self._context.volume.shared, place.parts[:-1], file.path)
        try:
            with self._open(file) as content:
                return write_atomically(Path(place.name), content, mode=mode, staging=staging, folder=folder)
        except IsADirectoryError as error:
            raise StepError(InitFault.PLAN_INVALID, f"The file {file.path!r} is a folder already.") from error
        finally:
            os.close(folder)

    def _remove(self, paths: Collection[str]) -> None:
        for path in paths:
            pure = PurePosixPath(path)
            try:
                folder = _open_folder(self._context.volume.shared, pure.parts[:-1], path, make=False)
            except (StepError, FileNotFoundError):
                continue  # its folder is gone, or a link or a file now: what is there is not ours
            try:
                os.unlink(pure.name, dir_fd=folder)
            except (FileNotFoundError, IsADirectoryError):
                pass
            finally:
                os.close(folder)


def _open_folder(shared: Path, parts: tuple[str, ...], path: str, *, make: bool = True) -> int:
    """A descriptor of the folder; with `make`, made on the way where it is not there."""
    folder = os.open(shared, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        outer = folder
        try:
            folder = _enter(part, outer, make=make)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise StepError(
                    InitFault.PATH_ESCAPES,
                    f"The file {path!r} would be written through {part!r}, which is not a folder "
                    "(a symbolic link or a file).",
                    "Choose another folder, or remove the link.",
                ) from error
            raise
        finally:
            os.close(outer)
    return folder


def _enter(name: str, outer: int, *, make: bool) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=outer)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, FOLDER_MODE, dir_fd=outer)
        return os.open(name, _FOLDER_FLAGS, dir_fd=outer)
