"""The plugin from outside: pytest as a process, over a folder with a case."""

import subprocess
import sys
from pathlib import Path

import pytest

MANIFEST = """\
apiVersion: agents.example.com/v1
kind: AgentType
metadata: {name: tester}
spec:
  agent:
    type: code
    code:
      runtime: python
      source: {type: local, path: code}
"""
HEADER = '{"cassette":1,"agent":"tester"}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "main.py").write_text("print('ahoy')")
    (tmp_path / "agent.yaml").write_text(MANIFEST)
    (tmp_path / "said.cassette.jsonl").write_text(HEADER)
    return tmp_path


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_a_case_is_a_test(folder: Path) -> None:
    (folder / "said.agenttest.yaml").write_text("expect: {output: {equals: ahoy}}\n")

    done = run_pytest(folder)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_deviation_fails_with_a_diff_and_without_a_traceback(folder: Path) -> None:
    (folder / "said.agenttest.yaml").write_text("expect: {output: {equals: farewell}}\n")

    done = run_pytest(folder)

    assert done.returncode == 1
    assert "-farewell" in done.stdout
    assert "+ahoy" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_case_that_cannot_be_read_is_an_error_with_its_place(folder: Path) -> None:
    (folder / "said.agenttest.yaml").write_text("expect:\n  outputs: {}\n")

    done = run_pytest(folder)

    assert done.returncode == 2
    assert "said.agenttest.yaml:2:3: expect.outputs: Extra inputs are not permitted" in done.stdout


def test_the_option_makes_the_cassette_anew(folder: Path) -> None:
    (folder / "said.agenttest.yaml").write_text("expect: {output: {equals: ahoy}}\n")
    (folder / "said.cassette.jsonl").unlink()

    assert "record it first" in run_pytest(folder).stdout
    assert run_pytest(folder, "--agentberth-record").returncode == 0
    assert run_pytest(folder).returncode == 0
