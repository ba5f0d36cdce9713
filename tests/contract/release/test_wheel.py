"""The wheel, installed by pip and uv into an empty environment outside of the repository, runs the quickstart."""

import os
import subprocess
import sys
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from agentrelease.wheel import ROOT, build_wheel

VERSION = "9.8.7"
PATIENCE_S = 300
IMAGES = {
    f"agent-{name}": f"registry.example.com/berth/agent-{name}@sha256:{'c' * 64}"
    for name in ("operator", "initenv", "toolproxy", "llmgateway")
}
NAMES_ON_THE_INDEX = ("agent-", "agent_")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(folder / "dist", VERSION, folder, IMAGES)


def call(*command: str | Path, cwd: Path) -> str:
    """What `command` prints, with an environment that knows nothing of the repository's own."""
    kept = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    path = os.pathsep.join(one for one in kept["PATH"].split(os.pathsep) if str(ROOT) not in one)
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**kept, "PATH": path, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment_by_pip(folder: Path, wheel: Path) -> Path:
    venv.create(folder, with_pip=True)
    call(folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    return folder / "bin"


def environment_by_uv(folder: Path, wheel: Path) -> Path:
    uv = ROOT / ".tools/bin/uv"
    call(uv, "venv", "--quiet", "--python", sys.executable, folder, cwd=folder.parent)
    call(uv, "pip", "install", "--quiet", "--python", folder / "bin/python", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture(params=[environment_by_pip, environment_by_uv], ids=["pip", "uv"])
def programs(request: pytest.FixtureRequest, tmp_path: Path, wheel: Path) -> Path:
    """The folder with the programs of an environment that has the wheel alone."""
    made: Path = request.param(tmp_path / "environment", wheel)
    return made


@pytest.mark.timeout(600)  # two installations of packages
def test_it_runs_the_quickstart_from_there(programs: Path, tmp_path: Path) -> None:
    agentberth = programs / "agentberth"
    home = tmp_path / "home"
    home.mkdir()

    assert call(agentberth, "--version", cwd=home) == f"agentberth {VERSION}\n"
    assert VERSION in call(programs / "agent-initenv", "--version", cwd=home)
    call(agentberth, "init", "harbour", cwd=home)
    answer = call(agentberth, "run", "--quiet", "--mock-script", "harbour/mock.yaml", "harbour/agent.yaml", cwd=home)

    assert answer == "High water is at six and at half past six.\n"
    imported = call(programs / "python", "-c", "import agent_api; print(agent_api.__file__)", cwd=home)
    assert imported.startswith(str(tmp_path))
    printed = call(agentberth, "install", "--print", cwd=home)
    assert all(image in printed for image in IMAGES.values())
    assert "agent-operator:0.1.0" not in printed


def test_it_requires_third_parties_only_and_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("/METADATA")]
        metadata = Parser().parsestr(archive.read(name).decode())
        licences = [one for one in archive.namelist() if one.endswith("/licenses/LICENSE")]

    required = metadata.get_all("Requires-Dist", [])
    assert required
    assert not [one for one in required if one.startswith(NAMES_ON_THE_INDEX)]
    assert metadata["Version"] == VERSION
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert len(licences) == 1
