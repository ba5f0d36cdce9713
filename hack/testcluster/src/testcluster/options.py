"""What `up` was asked for, and the configuration that follows from it."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .build import COMPONENTS, find_programs
from .errors import MissingProgramError, UsageError
from .home import ClusterConfig
from .network import NODE_ADDRESS
from .ports import free_ports

NODE_API_PORT, NODE_ETCD_PORT, NODE_ETCD_PEER_PORT = 6443, 2379, 2380
DEFAULT_VOLUMES = 32
DEFAULT_API_QPS = 200
FOREIGN_PROGRAMS = ("etcd", "kube-apiserver")


@dataclass(frozen=True, kw_only=True)
class UpOptions:
    """The options of `up`."""

    control_plane: bool = False
    api_qps: int = DEFAULT_API_QPS
    fake_nodes: int = 0
    volumes: int = DEFAULT_VOLUMES
    owner_pid: int | None = None


def make_config(options: UpOptions, *, environ: Mapping[str, str], source: random.Random) -> ClusterConfig:
    """Finds or builds the programs, chooses ports. Raises BuildError, MissingProgramError, UsageError."""
    programs = find_or_build(options, environ)
    if not options.control_plane:
        return ClusterConfig(
            mode="node",
            programs=str(programs),
            address=NODE_ADDRESS,
            api_port=NODE_API_PORT,
            etcd_port=NODE_ETCD_PORT,
            etcd_peer_port=NODE_ETCD_PEER_PORT,
            api_qps=options.api_qps,
            fake_nodes=options.fake_nodes,
            volumes=options.volumes,
        )
    api_port, etcd_port, etcd_peer_port = free_ports(3, source=source)
    return ClusterConfig(
        mode="control-plane",
        programs=str(programs),
        address="127.0.0.1",
        api_port=api_port,
        etcd_port=etcd_port,
        etcd_peer_port=etcd_peer_port,
        api_qps=options.api_qps,
        fake_nodes=options.fake_nodes,
    )


def find_or_build(options: UpOptions, environ: Mapping[str, str]) -> Path:
    """The folder of programs: $KUBEBUILDER_ASSETS for a control plane alone, else this tree's build."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    if assets and options.control_plane:
        return check_assets(Path(assets), options)
    return find_programs(environ).ensure(wanted_programs(options))


def wanted_programs(options: UpOptions) -> list[str]:
    """What has to be built for these options."""
    names = list(COMPONENTS)
    if options.fake_nodes:
        names.append("kwok")
    if not options.control_plane:
        names += ["coredns", "pause"]
    return names


def check_assets(folder: Path, options: UpOptions) -> Path:
    """Checks a folder of binaries that come from elsewhere. Raises MissingProgramError, UsageError."""
    missing = [name for name in FOREIGN_PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise MissingProgramError(f"KUBEBUILDER_ASSETS={folder} lacks {', '.join(missing)}")
    if options.fake_nodes:
        raise UsageError("--kwok needs programs that are built here: unset KUBEBUILDER_ASSETS")
    return folder.absolute()


def has_controllers(config: ClusterConfig) -> bool:
    """Whether there are a controller manager and a scheduler to start."""
    names = ("kube-controller-manager", "kube-scheduler")
    return all(os.access(Path(config.programs) / name, os.X_OK) for name in names)
