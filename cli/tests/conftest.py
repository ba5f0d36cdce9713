"""The command as a process, in a folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
AGENTBERTH = (sys.executable, "-m", "agentberth")


@pytest.fixture
def agentberth(tmp_path: Path) -> Run:
    def run(
        *arguments: str, cwd: Path = tmp_path, timeout: float = 90, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        variables = {**kept, "NO_COLOR": "1", **(environment or {})}
        return subprocess.run(
            [*AGENTBERTH, *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=variables,
            check=False,
        )

    return run


@pytest.fixture
def agent(tmp_path: Path) -> Callable[..., Path]:
    """Writes a python code agent and its manifest; returns the manifest."""

    def write(code: str, *, extra: str = "", objects: str = "") -> Path:
        (tmp_path / "code").mkdir(exist_ok=True)
        (tmp_path / "code" / "main.py").write_text(code)
        manifest = tmp_path / "agent.yaml"
        manifest.write_text(
            "apiVersion: agents.example.com/v1\n"
            "kind: AgentType\n"
            "metadata: {name: tester}\n"
            "spec:\n"
            "  agent:\n"
            "    type: code\n"
            "    code:\n"
            "      runtime: python\n"
            "      source: {type: local, path: code}\n"
            f"{extra}{objects}"
        )
        return manifest

    return write
