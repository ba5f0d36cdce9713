"""One more provider type is one more row: checks, egress, gateway and documentation follow from it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_api import providers

TABLE = Path(providers.__file__).read_text()
LAST_ROW = '        "mock": ProviderKind('
ROW = """        "toy": ProviderKind(
            about="a maker of toys",
            address="https://models.toy.example:8443/v1",
            needs_key=True,
            key_header="x-api-key",
            dialects=("chat",),
        ),
"""


def facts(folder: Path, table: str) -> subprocess.CompletedProcess[str]:
    """What the program prints of the type `toy`, with `table` as its providers.py."""
    (folder / "providers.py").write_text(table)
    program = Path(__file__).with_name("one_more_provider.py")
    return subprocess.run([sys.executable, program, folder], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert TABLE.count(LAST_ROW) == 1
    done = facts(tmp_path_factory.mktemp("table"), TABLE.replace(LAST_ROW, ROW + LAST_ROW))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_type_that_is_in_the_table_is_accepted_with_its_key_and_refused_without(toy: dict[str, Any]) -> None:
    assert toy["problems"] == []
    assert toy["problems without a key"] == ["this provider needs credentialsSecret"]


def test_the_agent_may_connect_to_the_address_in_the_row(toy: dict[str, Any]) -> None:
    assert toy["egress"] == ["models.toy.example:8443"]


def test_the_gateway_shows_the_key_and_has_the_paths_as_the_row_says(toy: dict[str, Any]) -> None:
    assert toy["headers"] == {"x-api-key": "canary"}
    assert toy["paths"] == {"chat": "/chat/completions"}


def test_the_api_server_and_the_page_of_agenttype_know_the_type(toy: dict[str, Any]) -> None:
    assert '"enum": ["openai", "anthropic", "openai-compatible", "toy", "mock"]' in toy["definition"]
    assert "self.type in ['openai', 'anthropic', 'toy']" in toy["definition"]
    assert "toy: a maker of toys" in toy["definition"]
    assert "toy: a maker of toys" in toy["page"]


def test_without_its_row_nothing_knows_the_type(tmp_path: Path) -> None:
    done = facts(tmp_path, TABLE)

    assert "KeyError: 'toy'" in done.stderr
