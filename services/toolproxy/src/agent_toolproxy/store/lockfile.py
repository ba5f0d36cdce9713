"""`tools.lock.json`: what was seen first, so that a later difference is noticed.

The proxy's own copy is in /tools, which the agent cannot write to; it wins. The copy in the workspace is for people,
for version control, and for the next Pod, whose /tools is empty: it is read once, at the start. The lists of resolved
packages are files beside it, named by their digest.
"""

import hashlib
import logging
import re
import threading
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from agent_base.atomicfile import write_atomically

LOCK_NAME: Final = "tools.lock.json"
_LISTS: Final = "tools.lock.d"
_LARGEST_BYTES: Final = 8 << 20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True)


class LockedTool(_Model):
    """One install. `sha256` is of the file, or of the list of resolved packages."""

    version: str = ""
    source: str = ""
    platform: str = ""
    sha256: str


class Lock(_Model):
    """Installs by tool name, definition hashes by exported tool name."""

    schema_version: Literal[1] = 1
    tools: dict[str, LockedTool] = Field(default_factory=dict)
    definitions: dict[str, str] = Field(default_factory=dict)


class LockFile:
    """The lock, in memory and in both places. Its methods block, and may be called on several threads at once."""

    def __init__(self, own: Path, workspace: Path) -> None:
        self._own = own
        self._workspace = workspace
        self.lock = Lock()
        self._one_at_a_time = threading.Lock()

    def load(self) -> None:
        """Read the proxy's own copy, else the workspace's; a damaged one is as good as none, and is logged."""
        for folder in (self._own, self._workspace):
            if (found := _read(folder / LOCK_NAME)) is not None:
                self.lock = found
                return

    def tool(self, name: str) -> LockedTool | None:
        """The first install of `name`."""
        return self.lock.tools.get(name)

    def definition(self, name: str) -> str | None:
        """The first definition hash of an exported tool."""
        return self.lock.definitions.get(name)

    def set_tool(self, name: str, locked: LockedTool, packages: str | None = None) -> None:
        """Remember an install, and the list of packages that its digest is of."""
        if packages is not None:
            for folder in self._folders():
                _write(folder / _LISTS / locked.sha256, packages.encode())
        with self._one_at_a_time:
            if self.lock.tools.get(name) != locked:
                tools = dict(sorted({**self.lock.tools, name: locked}.items()))
                self._replace(self.lock.model_copy(update={"tools": tools}))

    def set_definitions(self, hashes: dict[str, str]) -> None:
        """Remember definition hashes."""
        with self._one_at_a_time:
            merged = dict(sorted({**self.lock.definitions, **hashes}.items()))
            if merged != self.lock.definitions:
                self._replace(self.lock.model_copy(update={"definitions": merged}))

    def packages(self, digest: str) -> str | None:
        """The list of packages of `digest`, if a copy of it is there and is what it says it is."""
        for folder in self._folders():
            content = _read_bytes(folder / _LISTS / digest) if _DIGEST.fullmatch(digest) else None
            if content is not None and hashlib.sha256(content).hexdigest() == digest:
                return content.decode("utf-8", "replace")
        return None

    def _replace(self, lock: Lock) -> None:
        self.lock = lock
        content = lock.model_dump_json(by_alias=True, indent=2).encode() + b"\n"
        for folder in self._folders():
            _write(folder / LOCK_NAME, content)

    def _folders(self) -> tuple[Path, Path]:
        return self._own, self._workspace


def _write(path: Path, content: bytes) -> None:
    """The workspace is the agent's: that it cannot be written to must not stop a tool."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        _log.warning("a lock file was not written", extra={"path": str(path), "reason": error.strerror})


def _read(path: Path) -> Lock | None:
    content = _read_bytes(path)
    if content is None:
        return None
    try:
        return Lock.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        _log.warning("a lock file is damaged and not used", extra={"path": str(path), "reason": problem})
        return None


def _read_bytes(path: Path) -> bytes | None:
    """The content of a plain file of reasonable size: the agent can put anything here, a pipe too."""
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
            return None
        return path.read_bytes()
    except OSError:
        return None
