"""What one part of the Pod (init container, sidecar, memory) adds to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agent_api import layout
from agent_render.identity import Manifest


@dataclass(frozen=True)
class PodPart:
    """One module's contribution. Order is kept everywhere, so that rendering is deterministic."""

    init_containers: tuple[Manifest, ...] = ()
    volumes: tuple[Manifest, ...] = ()
    agent_mounts: tuple[Manifest, ...] = ()
    agent_env: tuple[Manifest, ...] = ()
    agent_path: tuple[str, ...] = ()
    """Folders for the front of the agent's PATH."""
    config: Mapping[str, str] = field(default_factory=dict)
    """Keys of the agent's ConfigMap."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of the Pod template; a change rolls the Pods."""


def gather(parts: Iterable[PodPart]) -> PodPart:
    """All parts as one, in order. A volume that two parts need is there once."""
    parts = tuple(parts)
    return PodPart(
        init_containers=tuple(c for p in parts for c in p.init_containers),
        volumes=tuple({v["name"]: v for p in parts for v in p.volumes}.values()),
        agent_mounts=tuple(m for p in parts for m in p.agent_mounts),
        agent_env=tuple(e for p in parts for e in p.agent_env),
        agent_path=tuple(f for p in parts for f in p.agent_path),
        config={k: v for p in parts for k, v in p.config.items()},
        annotations={k: v for p in parts for k, v in p.annotations.items()},
    )


def variable(name: str, value: str) -> Manifest:
    """An entry of a container's env."""
    return {"name": name, "value": value}


def mount(volume: str, path: str, *, read_only: bool = True) -> Manifest:
    """A volume mount, read-only unless said otherwise."""
    return {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}


def empty_dir(name: str, size: str) -> Manifest:
    """An emptyDir with a size limit, a Kubernetes quantity."""
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def scratch(container: str, size: str) -> tuple[Manifest, Manifest]:
    """The /tmp of one container: its volume and its mount."""
    name = f"tmp-{container}"
    return empty_dir(name, size), mount(name, layout.TMP, read_only=False)
