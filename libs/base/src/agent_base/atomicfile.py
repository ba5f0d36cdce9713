"""Files that are replaced as a whole: whoever reads one finds the old content or the new, never a part.

The content reaches the disk before the name does (fsync, then rename). Without that, a power cut can leave an
empty file under the new name, and several readers take a missing record for a first time: a pin would be taken
anew, a budget would begin at nothing. The folder is not synced: losing the whole replacement is harmless, as the
old file is then still there. One fsync takes a millisecond or so; no caller writes more than a few files a second.
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO, Final

FILE_MODE: Final = 0o644
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_atomically(
    path: Path,
    content: bytes | BinaryIO,
    *,
    mode: int = FILE_MODE,
    staging: Path | None = None,
    folder: int | None = None,
) -> int:
    """Replace the file at `path`; its size in bytes. Raises OSError, and then the old file is untouched.

    The new file is made in `staging`, which is on the same volume (default: beside `path`, hidden by a dot). With
    `folder`, the descriptor of an open folder, `path` is a name in it, so that no symbolic link is followed.
    A symbolic link at `path` is replaced, not followed.
    """
    name = f".{path.name}.{os.urandom(8).hex()}"
    draft, drafted_in = (name, folder) if folder is not None else (str(path.with_name(name)), None)
    if staging is not None:
        draft, drafted_in = str(staging / name), None
    try:
        size_bytes = _write(draft, drafted_in, content, mode)
        os.replace(draft, path, src_dir_fd=drafted_in, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft, dir_fd=drafted_in)
        raise
    return size_bytes


def _write(draft: str, folder: int | None, content: bytes | BinaryIO, mode: int) -> int:
    with open(os.open(draft, _NEW, 0o600, dir_fd=folder), "wb") as file:  # noqa: PTH123 - a descriptor
        if isinstance(content, bytes):
            file.write(content)
        else:
            shutil.copyfileobj(content, file)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
        return file.tell()
