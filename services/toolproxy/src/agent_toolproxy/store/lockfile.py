"""`tools.lock.json`: what was seen first, so that a later difference is noticed.

The proxy's own copy is in /tools, which the agent cannot write to. The copy in the workspace is for people and for
version control. The lists of resolved packages are files beside it, named by their digest.
"""

import hashlib
import logging
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from agent_api.toolslock import LOCK_KEY, LockedTool, PinnedDefinition, ToolsLock
from agent_base.atomicfile import write_atomically

_LISTS: Final = "tools.lock.d"
_LARGEST_BYTES: Final = 8 << 20
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger(__name__)


class LockFile:
    """The lock, in memory and in both places. Its methods block, and may be called on several threads at once."""

    def __init__(self, own: Path, workspace: Path) -> None:
        self._own = own
        self._workspace = workspace
        self.lock = ToolsLock()
        self._one_at_a_time = threading.Lock()

    def load(self) -> None:
        """Read the proxy's own copy; a damaged one is as good as none, and is logged.

        The workspace's is never read: the agent can write there, and would decide what its tools are held to.
        """
        if (found := _read(self._own / LOCK_KEY)) is not None:
            self.lock = found

    def hold_to(self, given: ToolsLock) -> None:
        """Put what the platform says in the place of what was seen here. Blocks."""
        with self._one_at_a_time:
            tools = dict(sorted({**self.lock.tools, **given.tools}.items()))
            definitions = dict(sorted({**self.lock.definitions, **given.definitions}.items()))
            merged = self.lock.model_copy(update={"tools": tools, "definitions": definitions})
            if merged != self.lock:
                self._replace(merged)

    def tool(self, name: str) -> LockedTool | None:
        """The first install of `name`."""
        return self.lock.tools.get(name)

    def definition(self, name: str) -> PinnedDefinition | None:
        """The first definition of an exported tool."""
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

    def set_definitions(self, accepted: Mapping[str, PinnedDefinition]) -> None:
        """Hold exported tools to these definitions."""
        with self._one_at_a_time:
            merged = dict(sorted({**self.lock.definitions, **accepted}.items()))
            if merged != self.lock.definitions:
                self._replace(self.lock.model_copy(update={"definitions": merged}))

    def packages(self, digest: str) -> str | None:
        """The list of packages of `digest`, if a copy of it is there and is what it says it is."""
        for folder in self._folders():
            content = _read_bytes(folder / _LISTS / digest) if _DIGEST.fullmatch(digest) else None
            if content is not None and hashlib.sha256(content).hexdigest() == digest:
                return content.decode("utf-8", "replace")
        return None

    def _replace(self, lock: ToolsLock) -> None:
        self.lock = lock
        content = lock.serialise().encode()
        for folder in self._folders():
            _write(folder / LOCK_KEY, content)

    def _folders(self) -> tuple[Path, Path]:
        return self._own, self._workspace


def _write(path: Path, content: bytes) -> None:
    """The workspace is the agent's: that it cannot be written to must not stop a tool."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        _log.warning("a lock file was not written", extra={"path": str(path), "reason": error.strerror})


def _read(path: Path) -> ToolsLock | None:
    content = _read_bytes(path)
    if content is None:
        return None
    try:
        return ToolsLock.model_validate_json(content)
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
