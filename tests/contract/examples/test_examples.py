"""Every example, run as its first lines say. Their packages come from the index that this machine uses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples"
SAID = {
    "quickstart": ("Sealed by git, over MCP: 8d671f2a5785", "(says the model of standby)"),
    "tools": ("note.txt is sealed as 789fbeb3603ced2b7008d986753d572a8c43c3d1",),
    "anthropic": ("navigator says: The tide turns at six: cast off at half past five.",),
    "nodejs": ("The next 6 watches:",),
}
AGENTBERTH = Path(sys.executable).parent / "agentberth"


def run(example: Path) -> subprocess.CompletedProcess[str]:
    command = [str(AGENTBERTH), "run", "--quiet", str(example / "agent.yaml")]
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment, check=False)


def test_every_example_is_run_here() -> None:
    assert {folder.parent.name for folder in EXAMPLES.glob("*/agent.yaml")} == set(SAID)


@pytest.mark.parametrize("name", SAID)
def test_example_says_what_it_should_and_says_it_again(name: str, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns(".agentberth")
    example = Path(shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=ignored))

    for _ in range(2):
        done = run(example)

        assert done.returncode == 0, done.stderr
        assert [text for text in SAID[name] if text not in done.stdout] == []
