"""One docker with the images of this tree for the session."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from compose.daemon import ROOT, Docker, open_docker

HERE = Path(__file__).parent
BASE = "localhost/agentberth-base-python:3.13"
SERVICES = sorted(file.parent.name for file in (ROOT / "services").glob("*/Dockerfile"))
LONGEST_S = 900
"""Of a test with the fixtures of the session, which build images where their layers are not cached."""
_ARCHIVE = re.compile(r"^localhost/(\S+): .*, archive (\S+)$", re.MULTILINE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(LONGEST_S))


@dataclass(frozen=True)
class Loaded:
    """A docker that has the images, and the archive of each by its name and tag."""

    docker: Docker
    archives: dict[str, Path]


@pytest.fixture(scope="session")
def loaded() -> Iterator[Loaded]:
    """The images of this tree. Nobody else on this machine builds or runs images of these names meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="berth-"))  # short: a socket's path has 108 bytes
    with (Path(tempfile.gettempdir()) / "agentberth-e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            with open_docker(folder) as docker:
                archives = _build()
                loads = [("load", "--quiet", "--input", str(archive)) for archive in archives.values()]
                with ThreadPoolExecutor(os.cpu_count()) as workers:
                    list(workers.map(lambda load: docker.run(*load), loads))
                yield Loaded(docker, archives)
        finally:
            shutil.rmtree(folder)


@dataclass(frozen=True)
class Project:
    """docker-compose.yml as one run of it."""

    docker: Docker
    options: tuple[str, ...]

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Runs docker compose for this project."""
        images = {"AGENTBERTH_IMAGES": "localhost/", "AGENTBERTH_TAG": "dev"}
        return self.docker.compose(*self.options, *arguments, check=check, **images)

    def up(self) -> None:
        """Starts everything; returns when the agent has started, which is last."""
        self.compose("up", "--detach", "--no-build", "--pull", "never", "--quiet-pull")

    def container(self, service: str) -> str:
        """The id of a service's container, running or not."""
        return self.compose("ps", "--all", "--quiet", service).strip()

    def search_for_key(self, service: str, key: str) -> str:
        """Where a new process in a service's container finds the key."""
        command = ("docker", "exec", "--interactive", self.container(service), "python3", "-", key[::-1])
        return self._fed(command)

    def search_as_agent(self, key: str) -> str:
        """Where an agent finds it: a container as the agent's, after the agent has ended."""
        run = ("run", "--rm", "--no-TTY", "--no-deps", "--interactive", "agent", "python", "-", key[::-1])
        return self._fed((*self.docker.compose_command, *self.options, *run))

    def _fed(self, command: tuple[str, ...]) -> str:
        env = {**self.docker.environ, "AGENTBERTH_IMAGES": "localhost/", "AGENTBERTH_TAG": "dev"}
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=env,
            input=(HERE / "search_for_key.py").read_text(),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@pytest.fixture
def project(loaded: Loaded, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Project]:
    """docker-compose.yml with the .env of the test's `dotenv` mark, removed with all it made."""
    mark = request.node.get_closest_marker("dotenv")
    dotenv = tmp_path / ".env"
    dotenv.write_text("".join(f"{name}={value}\n" for name, value in (mark.kwargs if mark else {}).items()))
    files = ["docker-compose.yml", "tests/compose/override.yaml"]
    if "SSL_CERT_FILE" in os.environ:
        files.append("tests/compose/authorities.yaml")
    options = [f"--file={file}" for file in files]
    name = f"berth-{uuid.uuid4().hex[:6]}"
    started = Project(loaded.docker, (*options, f"--env-file={dotenv}", f"--project-name={name}"))
    try:
        yield started
    finally:
        started.compose("down", "--volumes", "--timeout", "5")


def _build() -> dict[str, Path]:
    """The archives by image, `agent-operator:dev` and so on."""
    said = _run("base", "python", "redis")
    said += _run("build", "--tag", "dev", "--base", BASE, *SERVICES)
    return {name: Path(path) for name, path in _ARCHIVE.findall(said)}


def _run(command: str, *arguments: str) -> str:
    done = subprocess.run(
        [str(ROOT / "hack/images" / command), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"hack/images/{command} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
    return done.stdout
