import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

sys.path.insert(0, str(Path(__file__).parents[3]))  # so that `libs.kube.tests` can be imported

from libs.kube.tests.fake_api import FakeApi
from libs.kube.tests.kinds import ALL, WIDGETS, widget
from libs.kube.tests.world import World, world


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    with blockbuster_ctx("agent_kube") as detector:
        for function in detector.functions.values():  # a loop of its own, in a thread
            function.can_block_in("agent_kube/client/kubeconfig.py", {"_log_in"})
        yield detector


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi(list(ALL)) as server:
        yield server


@pytest.fixture
async def here(api: FakeApi) -> AsyncIterator[World]:
    api.create(WIDGETS, widget("w"))
    async with api.client() as client, world(api, client) as entered:
        yield entered
