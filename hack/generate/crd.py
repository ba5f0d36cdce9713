"""The CustomResourceDefinitions of deploy/base, as `agentberth crd` prints them."""

from collections.abc import Iterator
from pathlib import Path

from agent_api.crd import crd, toolapproval_crd
from agentberth.yamlout import dump

FILE = Path("deploy/base/crds/agenttype.yaml")
APPROVALS = Path("deploy/base/crds/toolapproval.yaml")


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """The files, from the models alone."""
    del root
    yield FILE, dump([crd()])
    yield APPROVALS, dump([toolapproval_crd()])
