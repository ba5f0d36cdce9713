"""What every installer is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent_api.toolslock import LockedTool


@dataclass(frozen=True, kw_only=True)
class InstallLimits:
    """Bounds of one install."""

    timeout_s: float
    download_bytes: int
    unpacked_bytes: int
    unpacked_files: int


@dataclass(frozen=True, kw_only=True)
class InstallRequest:
    """`program` names the program in the package; empty: found by the tool's name. `member`: its path in an archive."""

    name: str
    version: str
    program: str
    member: str = ""
    constraints: tuple[str, ...] = ()
    """Versions of what a package depends on, in the form of its kind."""
    pinned: LockedTool | None
    packages: str | None
    """The list of packages that `pinned` is of."""
    check: Callable[[LockedTool, "str | None"], None]
    """Given what is about to be used, before it is; raises InstallError to refuse it."""
    limits: InstallLimits


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A program in the store. `program` and `launcher` are relative to `folder`."""

    folder: Path
    program: str
    launcher: str = ""
    locked: LockedTool
    packages: str | None = None


class Installer(Protocol):
    """Makes a program ready in the store, or raises InstallError; it leaves nothing half made."""

    async def install(self, request: InstallRequest) -> Installed:
        """The program."""
