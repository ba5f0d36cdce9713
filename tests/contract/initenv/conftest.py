import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `contract.initenv` can be imported

from contract.initenv.harness import Pod  # noqa: E402 - needs the line above
from contract.initenv.npm_registry import NpmRegistry  # noqa: E402 - likewise
from contract.initenv.package_index import PackageIndex  # noqa: E402 - likewise


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
