"""The API server that the tests run against: the one KUBECONFIG names, else one that is started for the session."""

import asyncio
import base64
import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMMAND = ROOT / "hack" / "testcluster" / "cluster"
FAKE_NODES = 3


@dataclass(frozen=True)
class Cluster:
    """An API server with controllers, and nodes on which Pods become ready.

    `home` is the folder of a cluster that this session owns, None for somebody else's.
    """

    kubeconfig: Path
    home: Path | None = None

    def control(self, *arguments: str) -> None:
        """`hack/testcluster/cluster ARGUMENTS`, for tests that take a component away."""
        assert self.home is not None, "components of somebody else's cluster are not ours to stop: unset KUBECONFIG"
        run_cluster(*arguments, "--home", str(self.home))

    async def restart_api_server(self, *options: str) -> None:
        """Ends the API server with its watches and starts it again on its port."""
        await asyncio.to_thread(self.control, "restart", "kube-apiserver", *options)

    @property
    def access(self) -> "Admin":
        """The administrator's access, read from the kubeconfig."""
        return read_admin(self.kubeconfig)


@dataclass(frozen=True)
class Admin:
    """Address and identity of an administrator; `trust` has no identity in it."""

    server: str
    identity: ssl.SSLContext
    trust: ssl.SSLContext
    ca: bytes
    headers: Mapping[str, str]


def run_cluster(*arguments: str) -> str:
    """One command of the test cluster's tool; its output is shown when it fails."""
    run = subprocess.run([str(COMMAND), *arguments], capture_output=True, text=True, check=False, timeout=900)
    assert run.returncode == 0, f"cluster {' '.join(arguments)}:\n{run.stdout}{run.stderr}"
    return run.stdout


def start_cluster(home: Path) -> Cluster:
    """A control plane of this session's own, with fake nodes where the programs for them can be had.

    It ends with this process, however that ends.
    """
    nodes = () if os.environ.get("KUBEBUILDER_ASSETS") else ("--kwok", str(FAKE_NODES))
    run_cluster("up", "--control-plane", "--home", str(home), "--owner-pid", str(os.getpid()), *nodes)
    return Cluster(Path(run_cluster("kubeconfig", "--home", str(home)).strip()), home)


def stop_cluster(cluster: Cluster) -> None:
    """Ends a cluster of this session's own."""
    assert cluster.home is not None
    run_cluster("down", "--home", str(cluster.home))
    shutil.rmtree(cluster.home, ignore_errors=True)


def read_admin(kubeconfig: Path) -> Admin:
    """The current context of a kubeconfig with a client certificate or a token."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = _named(config["contexts"], config["current-context"])["context"]
    cluster = _named(config["clusters"], context["cluster"])["cluster"]
    user = _named(config["users"], context["user"])["user"]
    ca = _material(kubeconfig, cluster, "certificate-authority")
    identity, trust = (ssl.create_default_context(cadata=ca.decode()) for _ in range(2))
    if "client-certificate" in user or "client-certificate-data" in user:
        _load_chain(identity, kubeconfig, user)
    headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
    return Admin(cluster["server"], identity, trust, ca, headers)


def write_kubeconfig(file: Path, server: str, *, ca: bytes | None = None, token: str | None = None) -> Path:
    """A kubeconfig of one cluster and one user: a token's, or nobody."""
    authority = {"certificate-authority-data": base64.b64encode(ca).decode()} if ca else {}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": server, **authority}}],
        "users": [{"name": "it", "user": {"token": token} if token else {}}],
    }
    file.write_text(json.dumps(document))
    return file


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _material(kubeconfig: Path, holder: dict[str, str], key: str) -> bytes:
    if f"{key}-data" in holder:
        return base64.b64decode(holder[f"{key}-data"])
    return (kubeconfig.parent / holder[key]).read_bytes()


def _load_chain(context: ssl.SSLContext, kubeconfig: Path, user: dict[str, str]) -> None:
    with tempfile.NamedTemporaryFile() as pair:  # readable by its owner alone
        pair.write(b"\n".join(_material(kubeconfig, user, key) for key in ("client-certificate", "client-key")))
        pair.flush()
        context.load_cert_chain(pair.name)
