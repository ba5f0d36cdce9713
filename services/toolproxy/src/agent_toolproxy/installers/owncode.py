"""A program in the agent's own code, which the init container prepares: nothing is installed."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from agent_toolproxy.errors import NotAProgram, NotFound
from agent_toolproxy.installers.package import InstallParts
from agent_toolproxy.installers.request import Installer

_FORM: Final = re.compile(r"code:((?:[A-Za-z0-9_][A-Za-z0-9_.+-]*/)*[A-Za-z0-9_][A-Za-z0-9_.+-]*)")
INTERPRETERS: Final = {".py": "python3", ".js": "node", ".mjs": "node", ".cjs": "node"}
"""Programs of the image, by the ending of a file; another file is run itself."""


@dataclass(frozen=True)
class CodeSource:
    """`code:tools/server.py`: relative to the agent's code."""

    path: str
    version: str = ""

    @classmethod
    def read(cls, text: str) -> Self | None:
        found = _FORM.fullmatch(text)
        return cls(found[1]) if found else None

    def installer(self, parts: InstallParts) -> Installer:
        del parts
        raise NotFound(f"{self.path} is not something to install")

    def find_in(self, code: Path) -> Path:
        """The file, links followed. Raises NotFound, which time heals while the code is being prepared; NotAProgram."""
        path = (code / self.path).resolve()
        if not path.is_relative_to(code.resolve()):
            raise NotAProgram(f"{self.path} leads out of the agent's code")
        if not path.is_file():
            raise NotFound(f"{self.path} is not in the agent's code, or not yet", retryable=True)
        if path.suffix not in INTERPRETERS and not os.access(path, os.X_OK):
            raise NotAProgram(
                f"{self.path} is neither executable nor one of {', '.join(sorted(INTERPRETERS))}: "
                "name such a file, or make it executable"
            )
        return path
