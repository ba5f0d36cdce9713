"""Unpacks an untrusted archive; `unpackchild` runs it in a child with limits.

A member is refused, and with it the whole archive, when it would land outside the folder, when it is a link that
leads out, when a folder on its way is a link, or when it is neither file, folder nor link. Sizes are counted as they
are written: what an archive declares is of no interest. Set-id bits are refused rather than dropped: an archive
that has them was not made for this place.
"""

import bz2
import gzip
import lzma
import os
import posixpath
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

from agent_base.removal import remove_tree
from agent_toolproxy.errors import LimitExceeded, UnsafeArchive

Kind = Literal["tar", "zip", "program"]
_CHUNK_BYTES: Final = 1 << 20
_SET_ID: Final = stat.S_ISUID | stat.S_ISGID
_LONGEST_LINK: Final = 4096
_DEEPEST: Final = 128
"""Folders. Programs and libraries have a dozen."""
_MAGIC: Final[Mapping[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_TAR_MAGIC_AT: Final = 257
_CUT_OR_CHANGED: Final = (EOFError, lzma.LZMAError, zlib.error)
"""What reading compressed data raises when it is not what was compressed."""
_DAMAGED: Final = (tarfile.TarError, zipfile.BadZipFile, NotImplementedError, *_CUT_OR_CHANGED)
"""What reading an archive raises when it is damaged, or of a form that is not known."""


@dataclass
class Budget:
    """What may still be written. `deadline` is checked with `clock`."""

    size_bytes: int
    files: int
    deadline_s: float
    clock: Callable[[], float]

    def spend_file(self) -> None:
        """Raises LimitExceeded."""
        self.files -= 1
        if self.files < 0:
            raise LimitExceeded("the archive has more files than limits.unpackedFiles allows")
        self.spend_bytes(0)

    def spend_bytes(self, size_bytes: int) -> None:
        """Raises LimitExceeded."""
        self.size_bytes -= size_bytes
        if self.size_bytes < 0:
            raise LimitExceeded("the archive unpacks to more bytes than limits.unpackedBytes allows")
        if self.clock() > self.deadline_s:
            raise LimitExceeded("unpacking took longer than limits.installTimeoutSeconds")


def kind_of(path: Path) -> Kind:
    """What the file is, by its content."""
    if zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(2) == b"PK":
                return "zip"
    with path.open("rb") as file:
        head = file.read(_TAR_MAGIC_AT + 8)
    for magic, opener in _MAGIC.items():
        if head.startswith(magic):
            return _kind_of_compressed(path, opener)
    return "tar" if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar" else "program"


def _kind_of_compressed(path: Path, opener: Callable[..., Any]) -> Kind:
    try:
        with opener(path, "rb") as file:
            head = file.read(_TAR_MAGIC_AT + 8)
    except (OSError, *_CUT_OR_CHANGED) as error:
        raise UnsafeArchive(f"the archive is damaged: {error}") from error
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] != b"ustar":
        raise UnsafeArchive("a compressed file that is not a tar archive: give a tar, a zip or the program itself")
    return "tar"


def unpack(path: Path, folder: Path, budget: Budget) -> None:
    """Unpack the tar or zip at `path` into the empty `folder`. Raises UnsafeArchive or LimitExceeded."""
    try:
        if kind_of(path) == "zip":
            _unpack_zip(path, folder, budget)
        else:
            _unpack_tar(path, folder, budget)
    except _DAMAGED as error:
        raise UnsafeArchive(f"the archive is damaged or of an unknown form: {error}") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise UnsafeArchive(f"the archive cannot be unpacked: {error}") from error


def _unpack_tar(path: Path, folder: Path, budget: Budget) -> None:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            budget.spend_file()
            target = _target(folder, member.name, budget)
            if target is None:
                continue
            if member.mode & _SET_ID:
                raise UnsafeArchive(f"{_shown(member.name)} is set-user-id or set-group-id")
            if member.isdir():
                target.mkdir(exist_ok=True)
            elif member.issym():
                _link(folder, target, member.linkname, member.name)
            elif member.islnk():
                _copy_hard_link(folder, target, member, budget)
            elif member.isfile() and (source := archive.extractfile(member)) is not None:
                _write(target, source, member.mode, budget)
            else:
                raise UnsafeArchive(f"{_shown(member.name)} is neither file, folder nor link")


def _copy_hard_link(folder: Path, target: Path, member: tarfile.TarInfo, budget: Budget) -> None:
    source = _target(folder, member.linkname, budget)
    if source is None or source.is_symlink() or not source.is_file():
        raise UnsafeArchive(f"{_shown(member.name)} is a hard link to something that is not in the archive")
    with source.open("rb") as content:
        _write(target, content, source.stat().st_mode, budget)


def _unpack_zip(path: Path, folder: Path, budget: Budget) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            budget.spend_file()
            target = _target(folder, member.filename.replace("\\", "/"), budget)
            if target is None:
                continue
            mode = member.external_attr >> 16
            if mode & _SET_ID:
                raise UnsafeArchive(f"{_shown(member.filename)} is set-user-id or set-group-id")
            if member.is_dir():
                target.mkdir(exist_ok=True)
            elif stat.S_ISLNK(mode):
                with archive.open(member) as source:
                    leads_to = source.read(_LONGEST_LINK).decode("utf-8", "surrogateescape")
                _link(folder, target, leads_to, member.filename)
            elif stat.S_IFMT(mode) in (0, stat.S_IFREG):
                with archive.open(member) as source:
                    _write(target, source, mode, budget)
            else:
                raise UnsafeArchive(f"{_shown(member.filename)} is neither file, folder nor link")


def _target(folder: Path, name: str, budget: Budget) -> Path | None:
    """Where a member goes; None for the folder itself. Its parent folders are made, and none of them is a link.

    A folder that no member asked for counts as a file: one name may have thousands of them.
    """
    if not name or "\0" in name or name.startswith("/"):
        raise UnsafeArchive(f"{_shown(name)} is an absolute or empty path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafeArchive(f"{_shown(name)} leads out of the archive")
    if len(parts) > _DEEPEST:
        raise UnsafeArchive(f"{_shown(name)} is more than {_DEEPEST} folders deep")
    parent = folder
    for part in parts[:-1]:
        parent = parent / part
        if parent.is_symlink():
            raise UnsafeArchive(f"{_shown(name)} goes through a link")
        if not parent.is_dir():
            budget.spend_file()
            parent.mkdir()
    return parent / parts[-1] if parts else None


def _link(folder: Path, target: Path, leads_to: str, name: str) -> None:
    """A symbolic link inside the folder, judged by its text: what it leads to may not be there yet."""
    relative = posixpath.normpath(posixpath.join(target.parent.relative_to(folder).as_posix(), leads_to))
    if not leads_to or leads_to.startswith("/") or "\0" in leads_to or relative.split("/")[0] == "..":
        raise UnsafeArchive(f"{_shown(name)} is a link that leads out of the archive")
    _make_room(target)
    target.symlink_to(leads_to)


def _write(target: Path, source: IO[bytes], mode: int, budget: Budget) -> None:
    _make_room(target)
    permissions = 0o755 if mode & 0o111 else 0o644
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, permissions)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            budget.spend_bytes(len(chunk))
            file.write(chunk)
        os.fchmod(descriptor, permissions)


def _make_room(target: Path) -> None:
    """A later member of one name replaces the earlier, as tar does; a link is replaced, never followed."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        remove_tree(target)


def check_links(folder: Path) -> None:
    """Raise UnsafeArchive when any link below `folder`, followed through all others, leads out of it."""
    root = folder.resolve()
    for path in _walk(folder):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise UnsafeArchive(f"{_shown(str(path.relative_to(folder)))} is a link that leads out of the archive")


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(parent, name)


def _shown(name: str) -> str:
    return repr(name[:120])
