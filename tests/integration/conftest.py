"""One API server for the session, one operator for the ordinary tests, and a namespace for each test."""

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # so that `integration` can be imported

from integration.api import define_agents, open_api
from integration.cluster import Cluster, start_cluster, stop_cluster, write_kubeconfig
from integration.kubelet import Kubelet, join_node, leave_node
from integration.namespace import Namespace
from integration.operating import Hire, OperatorProcess
from integration.proxy import Proxy, open_proxy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a minute begins first, so that the others end beside it."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The API server, with the AgentType's definition in it."""
    given = os.environ.get("KUBECONFIG")
    found = Cluster(Path(given)) if given else start_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        asyncio.run(define_agents(found))
        yield found
    finally:
        if found.home is not None:
            stop_cluster(found)


@pytest.fixture(scope="session")
def pool(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Names of namespaces for the tests that share an operator: it is told them when it starts."""
    run = uuid.uuid4().hex[:5]
    sharers = [item for item in request.session.items if "namespace" in getattr(item, "fixturenames", ())]
    return tuple(f"it-{run}-{number}" for number in range(len(sharers)))


@pytest.fixture(scope="session")
def free_names(pool: tuple[str, ...]) -> Iterator[str]:
    """The names that no test has taken yet."""
    return iter(pool)


@pytest.fixture(scope="session")
def standing_operator(
    cluster: Cluster, pool: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """The operator of the ordinary tests, in namespaced mode."""
    folder = tmp_path_factory.mktemp("operator")
    arguments = ("--namespaces", ",".join(pool), "--leader-election=false")
    with OperatorProcess(cluster.kubeconfig, folder, name="standing", arguments=arguments) as operator:
        asyncio.run(operator.ready(within_s=100))  # it opens a thousand watches, beside other operators that do
        yield operator
        assert operator.problems() == []


@pytest.fixture
async def namespace(
    cluster: Cluster, standing_operator: OperatorProcess, free_names: Iterator[str]
) -> AsyncIterator[Namespace]:
    """A namespace that the standing operator works in."""
    async with open_namespace(cluster, next(free_names)) as found:
        yield found


@pytest.fixture
async def own_namespace(cluster: Cluster) -> AsyncIterator[Namespace]:
    """A namespace that no operator works in yet."""
    async with open_namespace(cluster, f"it-own-{uuid.uuid4().hex[:8]}") as found:
        yield found


@asynccontextmanager
async def open_namespace(cluster: Cluster, name: str) -> AsyncIterator[Namespace]:
    """A namespace for the time of one test; what is in it goes with it, later."""
    async with open_api(cluster.access, name) as api:
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await api.call("POST", "/api/v1/namespaces", document)
        try:
            yield Namespace(api)
        finally:
            await api.call("DELETE", f"/api/v1/namespaces/{name}")


@pytest.fixture
async def proxy(cluster: Cluster) -> AsyncIterator[Proxy]:
    """A proxy before the API server."""
    async with open_proxy(cluster.access) as found:
        yield found


@pytest.fixture
async def kubelet(namespace: Namespace) -> AsyncIterator[Kubelet]:
    """A node whose kubelet the test plays."""
    found = await join_node(namespace.api, f"hand-{uuid.uuid4().hex[:8]}")
    try:
        yield found
    finally:
        await leave_node(found)


@pytest.fixture
def hire(cluster: Cluster, tmp_path: Path) -> Iterator[Hire]:
    """Starts operators for the a namespace, or `everywhere`; what still runs at the end is killed."""
    numbers = count(1)
    with ExitStack() as stack:

        def start(
            namespace: Namespace,
            *arguments: str,
            kubeconfig: Path | None = None,
            proxy: Proxy | None = None,
            everywhere: bool = False,
        ) -> OperatorProcess:
            name = f"operator-{next(numbers)}"
            config = kubeconfig or cluster.kubeconfig
            if proxy is not None and kubeconfig is None:
                config = write_kubeconfig(tmp_path / f"{name}.kubeconfig", proxy.url)
            scope = () if everywhere else ("--namespaces", namespace.name)
            flags = ("--lease-namespace", namespace.name, *scope, *arguments)
            return stack.enter_context(OperatorProcess(config, tmp_path, name=name, arguments=flags))

        yield start
