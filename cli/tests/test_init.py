"""`agentberth init`: every template is a valid agent, and its own test passes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from agentberth.commands.init import SCHEMA, TEMPLATES

from .conftest import Run


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_valid_and_named_after_its_folder(agentberth: Run, tmp_path: Path, template: str) -> None:
    made = agentberth("init", "Harbour_Watch", "--template", template)
    checked = agentberth("validate", "Harbour_Watch")

    assert made.returncode == checked.returncode == 0, made.stderr + checked.stdout
    manifest = tmp_path / "Harbour_Watch" / "agent.yaml"
    assert yaml.safe_load(manifest.read_text())["metadata"]["name"] == "harbour-watch"
    assert manifest.read_text().startswith(f"# yaml-language-server: $schema={SCHEMA}\n")
    schema = json.loads((manifest.parent / SCHEMA).read_text())
    jsonschema.validate(yaml.safe_load(manifest.read_text()), schema)
    assert ".agentberth/" in (manifest.parent / ".gitignore").read_text()


@pytest.mark.parametrize("template", ["research", "batch"])
def test_a_templates_own_test_passes(agentberth: Run, tmp_path: Path, template: str) -> None:
    assert agentberth("init", "made", "--template", template).returncode == 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        [sys.executable, "-m", "unittest"],
        cwd=tmp_path / "made",
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "OK" in done.stderr


def test_nothing_is_overwritten(agentberth: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "agent.yaml").write_text("mine")

    done = agentberth("init", "mine")

    assert done.returncode == 1
    assert done.stderr.startswith("error: mine/agent.yaml: already exists\n  try: ")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["agent.yaml"]


def test_a_folder_that_gives_no_name_is_refused(agentberth: Run) -> None:
    done = agentberth("init", "42")

    assert done.returncode == 1
    assert "an agent cannot have the name of this folder" in done.stderr
