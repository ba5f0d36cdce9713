"""A program on the proxy's own PATH: nothing is installed."""

import re
from dataclasses import dataclass
from typing import Final, Self

from agent_toolproxy.errors import NotFound
from agent_toolproxy.installers.package import InstallParts
from agent_toolproxy.installers.request import Installer

_PROGRAM: Final = re.compile(r"path:([A-Za-z0-9_][A-Za-z0-9_.+-]*)")


@dataclass(frozen=True)
class PathSource:
    """`path:program`."""

    program: str
    version: str = ""

    @classmethod
    def read(cls, text: str) -> Self | None:
        found = _PROGRAM.fullmatch(text)
        return cls(found[1]) if found else None

    def installer(self, parts: InstallParts) -> Installer:
        del parts
        raise NotFound(f"{self.program} is not something to install")
