"""Values of a Secret as files of a running program, which may do anything with the folder that they are in.

The folder is the program's own, so it may put links there that lead elsewhere. We write by the descriptor of a folder
that was opened before the program was started, and by rename: neither follows a link.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent_base.atomicfile import write_atomically

FOLDER: Final = ".credentials"


class SecretFiles:
    """Files by name in a folder below `home`. Opened before the program starts; `close` when it has ended."""

    def __init__(self, home: Path) -> None:
        """Raises OSError."""
        self._folder = home / FOLDER
        self._folder.mkdir(mode=0o700)
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self._written: dict[str, str] = {}

    def path(self, name: str) -> str:
        """Where the program finds the file."""
        return str(self._folder / name)

    def write(self, values: Mapping[str, str]) -> None:
        """Bring the files to these values, each at once as a whole. Raises OSError, as when the disk is full."""
        for name, value in values.items():
            if self._written.get(name) != value:
                write_atomically(Path(name), value.encode(), mode=0o600, folder=self._descriptor)
                self._written[name] = value

    def close(self) -> None:
        """Let go of the folder, which is removed with the program's home."""
        os.close(self._descriptor)
