"""Where each tool is, and how it gets there."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from testcluster.build import LINKER_FLAGS, Toolchain
from testcluster.cache import digest, locked, read_tree
from testcluster.progress import run_noted

FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Tool:
    """A program and the package it is built from, in the module of that name in `FOLDER`, which has its versions."""

    name: str
    program: str
    package: str

    @property
    def module(self) -> Path:
        """The folder with its go.mod."""
        return FOLDER / self.name


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("actionlint", "actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),
        Tool("collector", "collector", "."),
        Tool("compose", "docker-compose", "github.com/docker/compose/v2/cmd"),
        Tool("dashboards", "dashboards", "."),
    )
}


def built_path(tool: Tool, *, toolchain: Toolchain, cache: Path) -> Path:
    """Where the program of these versions is, whether it is built or not."""
    sources = read_tree(tool.module, suffixes=(".go", ".mod", ".sum"))
    facts = (toolchain.version, toolchain.architecture, tool.package, LINKER_FLAGS)
    return cache / "gotools" / digest(sources, facts=facts) / tool.program


def ensure(tool: Tool, *, toolchain: Toolchain, cache: Path) -> Path:
    """The program, built if it is not there; put in place by one rename. Raises BuildError."""
    target = built_path(tool, toolchain=toolchain, cache=cache)
    with locked(target.parent.with_suffix(".lock")):
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=target.parent) as scratch:
                partial = Path(scratch) / tool.program
                options = ("-v", "-trimpath", "-ldflags", LINKER_FLAGS, "-o", str(partial), tool.package)
                argv = ["nice", "-n", "10", "go", "build", *options]
                run_noted(argv, label=tool.name, unit="packages", cwd=tool.module, env=toolchain.environ)
                partial.replace(target)
    return target
