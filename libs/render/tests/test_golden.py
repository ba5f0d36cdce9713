"""What each agent becomes, in full: a change of rendering is a diff that a person reads.

After a wanted change: `make generate`, then read the diff.
"""

from pathlib import Path

import pytest
import yaml

from agent_api.problems import examine
from agent_render import PlatformSettings, render

HERE = Path(__file__).parent
AGENTS = sorted((HERE / "agents").glob("*.yaml"))


@pytest.mark.parametrize("file", AGENTS, ids=lambda f: f.stem)
def test_agent_renders_as_it_did(file: Path) -> None:
    agent = examine(yaml.safe_load(file.read_text())).agent
    assert agent is not None

    manifests = list(render(agent, PlatformSettings(pod_monitors=True)))

    golden = HERE / "golden" / file.name
    assert manifests == list(yaml.safe_load_all(golden.read_text()))


def test_each_agent_has_its_golden_file_and_the_reverse() -> None:
    assert [f.name for f in AGENTS] == sorted(f.name for f in (HERE / "golden").glob("*.yaml"))
