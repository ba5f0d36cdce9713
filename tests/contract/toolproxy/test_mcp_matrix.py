"""Published clients on published servers, through the proxy: docs/reference/mcp-matrix.md says what was found.

CI holds the results to the releases that are named, and the page to the results, as all that is generated;
AGENTBERTH_WHOLE=1 tries all cells. One cell is tried in test_sdk_clients.py, where its server is installed anyway.
"""

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from contract.toolproxy.matrix.clients import CLIENTS
from contract.toolproxy.matrix.record import RESULTS, Calls, running_servers, try_client
from contract.toolproxy.matrix.servers import SERVERS

FOUND: dict[str, Any] = json.loads(RESULTS.read_text())
Running = tuple[str, Calls, Mapping[str, str]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_servers(tmp_path_factory.mktemp("matrix") / "pod") as found:
        yield found


def test_the_results_are_of_the_releases_that_are_named_and_fill_every_cell() -> None:
    assert {name: each["source"] for name, each in FOUND["servers"].items()} == {
        name: server.source for name, server in SERVERS.items()
    }
    assert {name: each["release"] for name, each in FOUND["clients"].items()} == {
        name: client.release for name, client in CLIENTS.items()
    }
    for client in FOUND["clients"].values():
        assert set(client["cells"]) == set(SERVERS)
        assert all(client["cells"].values()), "a cell works, or names its reason"


@pytest.mark.skipif(os.environ.get("AGENTBERTH_WHOLE") != "1", reason="installs all of them: AGENTBERTH_WHOLE=1")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_finds_what_the_page_says(running: Running, name: str) -> None:
    url, calls, absent = running
    assert {**try_client(CLIENTS[name], url, calls), **absent} == FOUND["clients"][name]["cells"]
