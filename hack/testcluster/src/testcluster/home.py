"""The folder that holds all of one cluster: what is in it, and what it remembers of how it was started."""

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .cache import cache_dir, replace_text
from .errors import NotUpError

Mode = Literal["control-plane", "node"]


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """How a cluster was started; every command after `up` reads it."""

    mode: Mode
    programs: str
    """Folder with the components' binaries."""
    address: str
    """Where the API server listens and is reached."""
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    api_qps: int
    """Requests per second that controllers and scheduler may send; twice that in a burst."""
    fake_nodes: int = 0
    volumes: int = 0

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:{self.api_port}"


@dataclass(frozen=True)
class Home:
    """Paths of one cluster. Everything but `images` is gone after `down`."""

    root: Path

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def run(self) -> Path:
        """Sockets, locks and filled-in configuration."""
        return self.root / "run"

    @property
    def log(self) -> Path:
        """One file per component."""
        return self.root / "log"

    @property
    def images(self) -> Path:
        """The image store: kept over `down`, so that images are loaded once."""
        return self.root / "containerd"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def containerd_socket(self) -> Path:
        """Where the container runtime of a node listens."""
        return self.run / "containerd.sock"

    def folder(self, name: str) -> Path:
        """A component's own folder."""
        return self.root / name

    def prepare(self) -> None:
        """Makes the folders that every cluster has."""
        for path in (self.run, self.log):
            path.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def save(self, config: ClusterConfig) -> None:
        """Remembers how the cluster was started."""
        replace_text(self.root / "cluster.json", json.dumps(dataclasses.asdict(config), indent=1) + "\n")

    def load(self) -> ClusterConfig:
        """How the cluster was started. Raises NotUpError when there is none."""
        try:
            return ClusterConfig(**json.loads((self.root / "cluster.json").read_text()))
        except FileNotFoundError:
            raise NotUpError(f"no cluster in {self.root}: start one with hack/testcluster/up") from None

    def clear(self, *, images: bool) -> None:
        """Removes what this package made here, and nothing else; with `images`, the image store too."""
        for name in ("etcd", "kubelet", "volumes", "cni", "pki", "run", "log", *(["containerd"] if images else [])):
            shutil.rmtree(self.root / name, ignore_errors=True)
        for name in ("kubeconfig", "cluster.json"):
            (self.root / name).unlink(missing_ok=True)
        if self.root.is_dir() and not any(self.root.iterdir()):
            self.root.rmdir()


def default_home(environ: Mapping[str, str]) -> Path:
    """`$AGENTBERTH_TESTCLUSTER_HOME`, else `testcluster/home` in the cache folder."""
    chosen = environ.get("AGENTBERTH_TESTCLUSTER_HOME")
    return Path(chosen).absolute() if chosen else cache_dir(environ) / "testcluster" / "home"


def find_home(option: str | None) -> Home:
    """The home of `--home`, or the default one."""
    return Home(Path(option).absolute() if option else default_home(os.environ))
