"""Where the tests run: the cluster that KUBECONFIG names, else a node on this machine; and the images they use there.

| variable | meaning | default |
|---|---|---|
| `KUBECONFIG` | the cluster; without it, hack/testcluster starts a node (root) | |
| `AGENTBERTH_E2E_HOST` | an address of this machine that Pods reach, for the tests' own servers | the node's |
| `AGENTBERTH_E2E_OPERATOR`, `_INITENV`, `_TOOLPROXY`, `_LLMGATEWAY`, `_CONSOLE` | the images, to pull | built here |
| `AGENTBERTH_E2E_PYTHON`, `AGENTBERTH_E2E_NODEJS` | images of the runtimes, `{version}` in them | built here |
| `AGENTBERTH_E2E_NGINX`, `AGENTBERTH_E2E_MEMORY` | an nginx and a redis image | built here |
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.kubectl import Document, Kubectl

ROOT = Path(__file__).parents[2]
NODE_HOST = "10.89.0.254"
PYTHON_BASE = "localhost/agentberth-base-python:3.13"
_ARCHIVE = re.compile(r", archive (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Images:
    """What Pods are made of."""

    operator: str = "localhost/agent-operator:dev"
    initenv: str = "localhost/agent-initenv:dev"
    toolproxy: str = "localhost/agent-toolproxy:dev"
    llmgateway: str = "localhost/agent-llmgateway:dev"
    python: str = "localhost/agentberth-base-python:{version}"
    nodejs: str = "localhost/agentberth-base-nodejs:{version}"
    nginx: str = "localhost/nginx:1.26"
    memory: str = "localhost/agentberth-base-redis:8"
    console: str = "localhost/agentberth:dev"


@dataclass(frozen=True)
class Site:
    """A cluster with everything the tests need of it. `host` is this machine as Pods see it."""

    kubectl: Kubectl
    images: Images
    host: str
    own: bool
    """Whether it is the node of this machine, whose images deploy/overlays/test names."""

    def next_image(self, pod: Document, container: str) -> str:
        """Another reference to the image that a container of `pod` runs: Pods see another image in it.

        On the node it is another tag, elsewhere the digest.
        """
        if self.own:
            image = _named(pod["spec"], ("initContainers", "containers"), container)["image"]
            target = f"{image}-next"
            _run("testcluster/cluster", "tag", image, target)
            return target
        status = _named(pod["status"], ("initContainerStatuses", "containerStatuses"), container)
        return str(status["imageID"])


def _named(owner: Document, lists: Sequence[str], name: str) -> Document:
    found: Document = next(one for each in lists for one in owner.get(each, ()) if one["name"] == name)
    return found


@contextmanager
def open_cluster(environ: Mapping[str, str]) -> Iterator[Path]:
    """The kubeconfig of the cluster for one session, with the images in it."""
    given = environ.get("KUBECONFIG")
    if given:
        yield Path(given)
        return
    _require_node_host()
    with _alone(), _open_node() as kubeconfig:
        yield kubeconfig


def site_of(environ: Mapping[str, str], kubeconfig: Path) -> Site:
    """An open cluster as the tests use it."""
    kubectl = Kubectl(_kubectl(), kubeconfig)
    if not environ.get("KUBECONFIG"):
        return Site(kubectl, Images(), NODE_HOST, own=True)
    host = _wanted(environ, "HOST")
    images = Images(**{part: _wanted(environ, part.upper()) for part in Images.__dataclass_fields__})
    return Site(kubectl, images, host, own=False)


@contextmanager
def _alone() -> Iterator[None]:
    """The machine has one node and one image of a name: another session waits here until this one has ended."""
    with (Path(tempfile.gettempdir()) / "agentberth-e2e.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _open_node() -> Iterator[Path]:
    """The kubeconfig of the node, with the images of this tree in it. A node that was up before stays up."""
    was_up = subprocess.run([_hack("testcluster/status")], capture_output=True, check=False).returncode == 0
    with ThreadPoolExecutor() as beside:
        built = beside.submit(_build_images)
        _run("testcluster/up", *(() if was_up else ("--owner-pid", str(os.getpid()))))
    try:
        _run("testcluster/load", *built.result())
        yield Path(_run("testcluster/kubeconfig").strip())
    finally:
        if not was_up:
            _run("testcluster/down")


def _build_images() -> list[str]:
    said = _run("images/base", "python", "nodejs", "nginx", "redis")
    services = sorted(file.parent.name for file in (ROOT / "services").glob("*/Dockerfile"))
    said += _run("images/build", "--tag", "dev", "--base", PYTHON_BASE, *services, "cli")
    return _ARCHIVE.findall(said)


def base_archives(*names: str) -> list[Path]:
    """The docker archives of bases of hack/images/base, in that order."""
    return [Path(found) for found in _ARCHIVE.findall(_run("images/base", *names))]


def _require_node_host() -> None:
    lacking = [name for name in ("buildah", "containerd", "kubectl") if not shutil.which(name)]
    if os.geteuid() != 0 or lacking:
        cause = f"{', '.join(lacking)} not installed" if lacking else "not root"
        give_up(f"e2e tests need KUBECONFIG, or root and what hack/testcluster/bootstrap installs: {cause}")


def give_up(cause: str) -> None:
    """Ends the tests that need what is not here: an error in CI, a skip that names the cause elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(cause, pytrace=False)
    pytest.skip(cause)


def _wanted(environ: Mapping[str, str], name: str) -> str:
    variable = f"AGENTBERTH_E2E_{name}"
    if not environ.get(variable):
        pytest.fail(f"KUBECONFIG is set, and {variable} is not: tests/e2e/place.py lists what is needed", pytrace=False)
    return environ[variable]


def _kubectl() -> str:
    found = shutil.which("kubectl")
    if found is None:
        give_up("e2e tests need kubectl on the PATH")
    return str(found)


def _hack(command: str) -> str:
    return str(ROOT / "hack" / command)


def _run(command: str, *arguments: str) -> str:
    """Runs a command of hack/ with what it says on the terminal. Fails the tests when it fails."""
    done = subprocess.run([_hack(command), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"hack/{command} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}", pytrace=False)
    return done.stdout
