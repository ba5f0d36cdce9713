"""A private authority: `ca.crt` in the mounted Secret is trusted by uv, npm and git, and nobody else's is."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Pod
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex

from agent_api.initreport import InitFault

_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with ca.crt, and server.crt and server.key that it has signed for 127.0.0.1."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for command in (
        f"req -x509 {_KEY} -keyout ca.key -out ca.crt -days 2 -subj /CN=test-ca",
        f"req {_KEY} -keyout server.key -out server.csr -subj /CN=127.0.0.1",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile names",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder


def plan(pod: Pod, certificates: Path, parts: dict[str, Any], *, trusted: bool) -> None:
    if trusted:
        pod.mount("index/ca.crt", (certificates / "ca.crt").read_text())
    index = {**parts.pop("index", {}), "folder": "/etc/agentberth/index"}
    pod.plan(**parts, index=index, limits={"attempts": 1})


@pytest.mark.parametrize("trusted", [True, False])
def test_uv(pod: Pod, certificates: Path, trusted: bool) -> None:
    with PackageIndex((certificates / "server.crt", certificates / "server.key")) as index:
        index.add_wheel("good", "1.0")
        packages = {"runtime": "python", "requirements": ["good"]}
        plan(pod, certificates, {"packages": packages, "index": {"pythonUrl": index.url}}, trusted=trusted)
        _expect(pod, trusted=trusted)


@pytest.mark.parametrize("trusted", [True, False])
def test_npm(pod: Pod, certificates: Path, trusted: bool) -> None:
    with NpmRegistry((certificates / "server.crt", certificates / "server.key")) as registry:
        registry.add("good", "1.0.0")
        packages = {"runtime": "nodejs", "requirements": ["good"]}
        plan(pod, certificates, {"packages": packages, "index": {"npmRegistry": registry.url}}, trusted=trusted)
        _expect(pod, trusted=trusted)


@pytest.mark.parametrize("trusted", [True, False])
def test_git(pod: Pod, tmp_path: Path, certificates: Path, trusted: bool) -> None:
    Repository(tmp_path / "repositories" / "agent").commit(main_py="x")
    tls = (certificates / "server.crt", certificates / "server.key")
    with GitServer(tmp_path / "repositories", tls=tls) as server:
        code = {"kind": "git", "repository": server.url("agent"), "revision": "main"}
        plan(pod, certificates, {"code": code}, trusted=trusted)
        _expect(pod, trusted=trusted)


def _expect(pod: Pod, *, trusted: bool) -> None:
    outcome = pod.run()
    if trusted:
        outcome.prepared()
    else:
        assert "ca.crt" in outcome.error(InitFault.NETWORK_FAILED).cure
        assert outcome.report.steps[0].attempts == 1


def test_the_containers_own_bundles_stay_trusted(pod: Pod, certificates: Path) -> None:
    with PackageIndex((certificates / "server.crt", certificates / "server.key")) as index:
        index.add_wheel("good", "1.0")
        pod.mount("index/ca.crt", "")
        pod.env = {"NODE_EXTRA_CA_CERTS": str(certificates / "ca.crt")}
        packages = {"runtime": "python", "requirements": ["good"]}
        plan(pod, certificates, {"packages": packages, "index": {"pythonUrl": index.url}}, trusted=False)
        pod.run().prepared()
