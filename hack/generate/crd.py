"""The CustomResourceDefinition of deploy/base, as `agentberth crd` prints it."""

from collections.abc import Iterator
from pathlib import Path

from agent_api.crd import crd
from agentberth.yamlout import dump

FILE = Path("deploy/base/crds/agenttype.yaml")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The file, from the models alone."""
    del root
    yield FILE, dump([crd()])
