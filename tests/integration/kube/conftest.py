import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # for parts of the unit tests, and for `integration.kube`

from integration.kube.cluster import NAMESPACES, Cluster, await_collector, define_widgets  # noqa: E402 - likewise

from agent_kube import Access, Client, ObjectKey, open_access  # noqa: E402 - needs the line above


@pytest.fixture(scope="session")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A control plane of these tests alone, whose parts may be restarted and frozen."""
    home = tmp_path_factory.mktemp("cluster")
    subprocess.run(
        [ROOT / "hack/testcluster/up", "--control-plane", "--home", home, "--owner-pid", str(os.getpid())], check=True
    )
    own = Cluster(home / "kubeconfig", home)
    asyncio.run(define_widgets(own.kubeconfig))
    own.command("restart", "kube-controller-manager")  # its garbage collector looks for new kinds when it starts
    asyncio.run(await_collector(own.kubeconfig))
    yield own
    subprocess.run([ROOT / "hack/testcluster/down", "--home", home], check=True)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """What KUBECONFIG names, or the tests' own control plane."""
    if os.environ.get("KUBECONFIG"):
        given = Path(os.environ["KUBECONFIG"])
        asyncio.run(define_widgets(given))
        asyncio.run(await_collector(given))
        return Cluster(given, None)
    own: Cluster = request.getfixturevalue("own_cluster")
    return own


@pytest.fixture(autouse=True)
async def no_connection_outlives_its_test() -> AsyncIterator[None]:
    """Drops what still waits for the server to end TLS: it may take 30 s, and the loop ends before."""
    yield
    for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]
        transport.abort()
    await asyncio.sleep(0)


@pytest.fixture
async def access(cluster: Cluster) -> Access:
    return await open_access({"KUBECONFIG": str(cluster.kubeconfig)})


@pytest.fixture
async def client(access: Access) -> AsyncIterator[Client]:
    async with Client(access) as opened:
        yield opened


@pytest.fixture
async def namespace(client: Client) -> AsyncIterator[str]:
    name = f"kube-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    await client.delete(NAMESPACES, ObjectKey("", name))
