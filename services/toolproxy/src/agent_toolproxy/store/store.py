"""What is installed, below /tools: old or new, never half.

    store/<sha256>/      one folder for each digest, shared by all tools that have it; never changed
    records/<name>.json  which folder and program a tool uses, and for which definition
    bin/<program>        links for the agent's PATH
    downloads/           files on their way; a later attempt goes on where they stop
    cache/               of uv and npm
    staging/             folders being made; emptied at each start
    calls/               a private folder for each running call; emptied at each start
    .lock                held by the one proxy that works here

Everything appears by a rename on one file system, so a proxy that is killed leaves only staging and downloads,
which nothing reads.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from agent_base.atomicfile import write_atomically
from agent_base.removal import remove_tree
from agent_toolproxy.errors import StoreBusy


class Record(BaseModel):
    """One installed tool. `key` identifies the definition it was installed for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    key: str
    digest: str
    version: str = ""
    source: str
    program: str
    """Relative to the digest's folder."""
    launcher: str = ""
    """Interpreter that the program is given to, relative to the folder; empty: it is executed itself."""


class Store:
    """The tools folder. Its methods block: call them on a thread, one at a time for each digest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self._entries = root / "store"
        self._records = root / "records"
        self._downloads = root / "downloads"
        self._staging = root / "staging"
        self.calls = root / "calls"
        self._lock: int | None = None

    def open(self) -> Self:
        """Take the folder for this process and clear what a killed one left. Raises StoreBusy, OSError."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StoreBusy(f"another tool proxy works on {self.root}: stop it or give another --tools") from error
        self._lock = descriptor
        remove_tree(self._staging)
        remove_tree(self.calls)
        for folder in (self.bin, self._entries, self._records, self._downloads, self._staging):
            folder.mkdir(exist_ok=True)
        self.calls.mkdir(mode=0o700)
        return self

    def close(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def cache(self, name: str) -> Path:
        """A folder for a package tool's own cache."""
        return self.root / "cache" / name

    def folder(self, digest: str) -> Path | None:
        """The folder of `digest`, if it is there."""
        folder = self._entries / digest
        return folder if folder.is_dir() else None

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """An empty folder that is removed afterwards, unless it was committed."""
        folder = self._staging / uuid.uuid4().hex
        folder.mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)

    def commit(self, staged: Path, digest: str) -> Path:
        """Make `staged` the folder of `digest`; an entry that is there already stays."""
        final = self._entries / digest
        with suppress(FileExistsError, OSError):
            if not final.exists():
                staged.rename(final)
        if not final.is_dir():
            raise OSError(f"{final} could not be made")
        return final

    def download(self, key: str) -> Path:
        """Where the file of `key` is while it is on its way."""
        return self._downloads / key

    def record_of(self, name: str) -> Record | None:
        """What is installed under `name`, if its folder and program are there."""
        try:
            record = Record.model_validate_json((self._records / f"{name}.json").read_bytes())
        except (OSError, ValidationError):
            return None
        folder = self.folder(record.digest)
        return record if folder and os.path.lexists(folder / record.program) else None

    def save(self, record: Record) -> None:
        """Remember `record` in place of an earlier one of its name."""
        write_atomically(self._records / f"{record.name}.json", record.model_dump_json().encode())

    def link(self, name: str, program: Path) -> None:
        """Put `program`, which is in the store, on the agent's PATH as `name`."""
        temporary = self._staging / uuid.uuid4().hex
        temporary.symlink_to(os.path.relpath(program, self.bin))
        temporary.replace(self.bin / name)

    def forget_others(self, names: Iterable[str]) -> None:
        """Remove records, links and folders that no tool of `names` uses."""
        kept = set(names)
        records = {path: path.stem for path in self._records.glob("*.json")}
        for path, name in records.items():
            if name not in kept:
                path.unlink(missing_ok=True)
        digests = {record.digest for name in kept if (record := self.record_of(name))}
        for link in self.bin.iterdir():
            if link.is_symlink() and not digests & set(link.readlink().parts):
                link.unlink(missing_ok=True)
        for folder in self._entries.iterdir():
            if folder.name not in digests:
                doomed = self._staging / uuid.uuid4().hex
                folder.rename(doomed)
                remove_tree(doomed)


def canonical_json(value: object) -> bytes:
    """One spelling for equal values: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
