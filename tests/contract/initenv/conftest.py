import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `contract.initenv` can be imported

from contract.initenv.harness import Pod
from contract.initenv.hostile_packages import SECRET
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path / "pod")


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with PackageIndex() as running:
        yield running


@pytest.fixture
def registry() -> Iterator[NpmRegistry]:
    with NpmRegistry() as running:
        yield running


@pytest.fixture
def guarded(pod: Pod) -> Pod:
    """A Pod with the Secrets of preparation, run as a Pod's user where that can be."""
    pod.mount("git/username", "reader")
    pod.mount("git/password", SECRET)
    return pod.in_a_pod()
