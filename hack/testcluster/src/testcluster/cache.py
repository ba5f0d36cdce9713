"""Where built things live: outside the tree, named by what they were made of.

A name made of the sources' hash needs no invalidation: a change makes a new name, and going back to an old
revision finds the old build again.
"""

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

WAIT_NOTE_INTERVAL_S = 15.0


def cache_dir(environ: Mapping[str, str]) -> Path:
    """`$AGENTBERTH_CACHE`, else `agentberth` below the user's cache folder."""
    chosen = environ.get("AGENTBERTH_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "agentberth"


def digest(files: Mapping[str, bytes], *, facts: Iterable[str] = ()) -> str:
    """16 hex digits over names, contents and facts; the order of `files` does not matter, that of `facts` does."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    for fact in facts:
        total.update(f"\0{fact}".encode())
    return total.hexdigest()[:16]


def read_tree(root: Path, *, suffixes: Iterable[str] = ("",)) -> dict[str, bytes]:
    """The files below `root` whose names end in one of `suffixes`, by their path below it."""
    endings = tuple(suffixes)
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name.endswith(endings)
    }


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds an exclusive lock on `path`; waits for another holder and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path) -> None:
    started, next_note = time.monotonic(), 0.0
    while not try_lock(descriptor):
        waited = time.monotonic() - started
        if waited >= next_note:
            print(f"another process builds here (lock {path}); waited {waited:.0f} s", flush=True)
            next_note = waited + WAIT_NOTE_INTERVAL_S
        time.sleep(0.2)


def try_lock(descriptor: int) -> bool:
    """Takes the lock if nobody holds it; false when somebody does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace_text(path: Path, text: str) -> None:
    """Writes a file so that a reader sees the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)
