"""Paths that a caller names, kept inside the workspace."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agent_base.proxies import network_variables
from agent_base.removal import remove_tree
from agent_toolproxy.errors import InvalidArguments, ToolNotReady
from agent_toolproxy.process.runner import Confinement


class Workspace:
    """The folder that tools work in, and the private folders of their calls, which are below `calls`.

    `hidden` is not for tools to see, nor is what other calls have in `calls`.
    """

    def __init__(self, root: Path, hidden: Path, calls: Path) -> None:
        self.root = root
        self.hidden = hidden
        self._calls = calls

    def confinement(self, home: Path) -> Confinement:
        """Of a tool's program: no configuration or credentials to see, nothing to write to but work and devices.

        Some programs insist on /tmp; they have it, unless what is hidden is there too.
        """
        temporary, closed = Path(tempfile.gettempdir()), (self.hidden, self._calls)
        within = any(each.resolve().is_relative_to(temporary.resolve()) for each in closed)
        shared = () if within else (temporary,)
        return Confinement(closed, (self.root, home, *shared, Path("/dev"), Path("/proc/self")))

    def folder(self, relative: str) -> Path:
        """The folder that `relative` leads to, links followed. Raises InvalidArguments unless it is inside."""
        root = self.root.resolve()
        if "\0" in relative:
            raise InvalidArguments("cwd: holds a NUL character")
        path = (root / relative).resolve()
        if not path.is_relative_to(root):
            raise InvalidArguments("cwd: leads out of the workspace")
        if not path.is_dir():
            raise InvalidArguments("cwd: there is no such folder in the workspace")
        return path

    @contextmanager
    def private_folder(self) -> Iterator[Path]:
        """A folder for one call alone: its HOME and TMPDIR. Raises ToolNotReady, as when the disk is full."""
        try:
            path = Path(tempfile.mkdtemp(prefix="call-", dir=self._calls))
        except OSError as error:
            raise ToolNotReady(f"a program's private folder cannot be made: {error.strerror}") from error
        try:
            yield path
        finally:
            with suppress(OSError):
                remove_tree(path)


def minimal_environment(path: str, home: Path, workspace: Path) -> dict[str, str]:
    """What every program is given: of our own environment only its way out of the network, and whom to trust."""
    return {
        **network_variables(os.environ),
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AGENT_WORKSPACE": str(workspace),
    }


def search_path(store_bin: Path, inherited: str) -> str:
    """The image's own programs first: a downloaded tool is nobody's `git`, whatever it is called."""
    return os.pathsep.join(part for part in (inherited, str(store_bin)) if part)
