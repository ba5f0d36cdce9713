"""Agents as others publish them, unmodified, on the laptop. CI runs the smallest; AGENTBERTH_WHOLE=1 runs them all."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

PUBLISHED: Final = Path(__file__).parents[3] / "examples/published"
WHOLE: Final = bool(os.environ.get("AGENTBERTH_WHOLE"))
PATIENCE_S: Final = 600 if WHOLE else 300
SAID: Final = {
    "claude-code": "At six and at half past six.",
    "codex": "At six and at half past six.",
    "llm": "At six and at half past six.",
    "mini-swe-agent": "High water is at six.",
}
"""What each prints."""
SMALL: Final = "llm"


@pytest.mark.timeout(PATIENCE_S + 20)
@pytest.mark.parametrize("name", sorted(SAID) if WHOLE else [SMALL])
def test_a_published_agent_runs_unmodified(name: str, tmp_path: Path) -> None:
    example = Path(shutil.copytree(PUBLISHED / name, tmp_path / name, ignore=shutil.ignore_patterns(".agentberth")))

    done = subprocess.run(
        [sys.executable, "-m", "agentberth", "run", "--quiet", str(example / "agent.yaml")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert SAID[name] in done.stdout


def test_each_published_agent_is_tried() -> None:
    assert {folder.name for folder in PUBLISHED.iterdir() if folder.is_dir()} == set(SAID)
