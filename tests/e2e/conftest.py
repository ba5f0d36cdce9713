"""One cluster with one operator for the session, a namespace for each test, and servers that Pods reach."""

import fcntl
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `e2e` and `contract` can be imported

from contract.initenv.git_server import GitServer
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex
from e2e.deployment import deploy_operator
from e2e.namespace import Namespace
from e2e.place import Site, open_cluster, site_of

HERE = Path(__file__).parent
LONGEST_S = 900
"""Of a test with the fixtures of the session, which build images where their layers are not cached."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The cluster, with the operator at work in it. Of several workers the first opens it, and closes it after all."""
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    opened = folder / "site"
    with (
        (folder / "site.opening").open("w") as opening,
        (folder / "site.using").open("w") as using,
        ExitStack() as stack,
    ):
        fcntl.flock(opening, fcntl.LOCK_EX)
        is_first = not opened.exists()
        if is_first:
            kubeconfig = stack.enter_context(open_cluster(os.environ))
            deploy_operator(site_of(os.environ, kubeconfig), tmp_path_factory.mktemp("overlay"))
            opened.write_text(str(kubeconfig))
        fcntl.flock(using, fcntl.LOCK_SH)
        fcntl.flock(opening, fcntl.LOCK_UN)
        yield site_of(os.environ, Path(opened.read_text()))
        if is_first:
            fcntl.flock(opening, fcntl.LOCK_EX)  # who comes now opens another
            fcntl.flock(using, fcntl.LOCK_EX)  # all others have left
            opened.unlink()


@pytest.fixture
def restricted(site: Site) -> Iterator[Namespace]:
    """A namespace that enforces PodSecurity `restricted`."""
    yield from _open_namespace(site, "restricted")


@pytest.fixture(scope="module")
def harbour(site: Site) -> Iterator[Namespace]:
    """A namespace that enforces PodSecurity `restricted`, for the tests of a module that look at the same agent."""
    yield from _open_namespace(site, "restricted")


@pytest.fixture
def baseline(site: Site) -> Iterator[Namespace]:
    """A namespace that enforces PodSecurity `baseline`."""
    yield from _open_namespace(site, "baseline")


def _open_namespace(site: Site, level: str) -> Iterator[Namespace]:
    name = f"e2e-{level}-{uuid.uuid4().hex[:6]}"
    labels = {"pod-security.kubernetes.io/enforce": level}
    site.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        yield Namespace(site.kubectl, name)
    finally:
        site.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def index(site: Site) -> Iterator[PackageIndex]:
    """A Python package index with one package, which needs another."""
    with PackageIndex(address=site.host) as running:
        running.add_wheel("berth_core", "1.0.0")
        running.add_wheel("berth_sdk", "1.2.0", requires=("berth_core>=1",))
        yield running


@pytest.fixture(scope="module")
def registry(site: Site) -> Iterator[NpmRegistry]:
    """An npm registry with one package."""
    with NpmRegistry(address=site.host) as running:
        running.add("berth-sdk", "1.2.0")
        yield running


@pytest.fixture
def indexes(restricted: Namespace, index: PackageIndex, registry: NpmRegistry) -> None:
    """The Secret `index` that leads the init container to both."""
    restricted.secret("index", {"index-url": index.url, "npmrc": f"registry={registry.url}\n"})


@pytest.fixture
def git_folder(tmp_path: Path) -> Path:
    """Where the git server's repositories are."""
    return tmp_path / "repositories"


@pytest.fixture
def git_server(site: Site, git_folder: Path) -> Iterator[GitServer]:
    """A git server over HTTP."""
    with GitServer(git_folder, address=site.host) as running:
        yield running
