"""The catalogue of tools as data of the command line's package: a laptop knows the tools that a cluster knows."""

from collections.abc import Iterator
from pathlib import Path

SOURCE = Path("deploy/base/catalog/tools.yaml")
FILE = Path("cli/src/agentberth/catalogue.yaml")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The copy; the cluster's file is the one to edit."""
    yield FILE, f"# A copy of {SOURCE}: edit that one.\n{(root / SOURCE).read_text(encoding='utf-8')}"
