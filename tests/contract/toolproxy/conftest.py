import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that `contract.toolproxy` can be imported

from contract.toolproxy.toolproxy_harness import ToolProxy


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[ToolProxy]:
    made = ToolProxy(tmp_path / "pod")
    yield made
    made.close()
