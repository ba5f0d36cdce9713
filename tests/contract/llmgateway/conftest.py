import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `contract.llmgateway` can be imported

from contract.llmgateway.harness import Mock, run_mock


@pytest.fixture
def away_from_an_hours_end() -> None:
    """For a test of an hour's sum: the hour does not end in the middle of it."""
    left_s = 3600 - time.time() % 3600
    if left_s < 60:
        time.sleep(left_s)


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    with run_mock(tmp_path_factory.mktemp("mock")) as running:
        yield running


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(timeout=60, limits=limits) as made:
        yield made
