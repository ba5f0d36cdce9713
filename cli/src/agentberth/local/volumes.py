"""The Pod's volumes as folders below one root: an emptyDir is made, a ConfigMap or Secret is written out."""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent_api.layout import relocate
from agent_base.atomicfile import write_atomically
from agent_base.removal import remove_tree
from agentberth.errors import ManifestError
from agentberth.local.objects import Objects

WORKSPACE = "workspace"
Manifest = Mapping[str, Any]


def materialise(pod: Manifest, root: Path, objects: Objects) -> None:
    """Makes every volume that a container of `pod` mounts, where `relocate` says it is.

    Raises ManifestError for a volume that only a cluster has.
    """
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        for mount in container.get("volumeMounts", ()):
            path = Path(relocate(mount["mountPath"], str(root)))
            if path.is_relative_to(root):  # other paths are of the image, which is not here
                _make(volumes[mount["name"]], path, objects)


def link(folder: Path, path: Path) -> None:
    """Shows `folder` of this machine at `path`, as a volume would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(folder)


def _make(volume: Manifest, path: Path, objects: Objects) -> None:
    if "emptyDir" in volume or volume["name"] == WORKSPACE:  # the folder outlives each run in any case
        path.mkdir(parents=True, exist_ok=True)
    elif "configMap" in volume:
        source = volume["configMap"]
        _write(path, objects.get("ConfigMap", source["name"]), source.get("items"), mode=0o644)
    elif "secret" in volume:
        source = volume["secret"]
        _write(path, objects.get("Secret", source["secretName"]), source.get("items"), mode=0o600)
    else:
        claim = volume.get("persistentVolumeClaim", {}).get("claimName", volume["name"])
        raise ManifestError(
            f'the volume claim "{claim}" is in a cluster, not on this machine',
            cure="for a local run, give agent.code.source a path beside the manifest",
        )


def _write(folder: Path, data: Mapping[str, bytes], items: Iterable[Manifest] | None, *, mode: int) -> None:
    """Replaces `folder` by the files of `data`. Unchanged files keep their time stamps."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {i["path"]: _value(data, i["key"], folder) for i in items} if items is not None else dict(data)
    for stale in set(folder.iterdir()) - {folder / name for name in wanted}:
        remove_tree(stale) if stale.is_dir() and not stale.is_symlink() else stale.unlink()
    for name, content in wanted.items():
        file = folder / name
        with contextlib.suppress(OSError):
            if file.read_bytes() == content:
                continue
        write_atomically(file, content, mode=mode)


def _value(data: Mapping[str, bytes], key: str, folder: Path) -> bytes:
    if key not in data:
        raise ManifestError(f'the object mounted on {folder.name} has no key "{key}"; it has {sorted(data)}')
    return data[key]
