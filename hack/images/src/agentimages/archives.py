"""Archives of images in the cache: what `hack/testcluster/load` takes."""

import re
from pathlib import Path

from .engine import Engine
from .sbom import sbom_path


def archive_path(folder: Path, tag: str, identity: str) -> Path:
    """Where the archive of one version of a tag is."""
    return folder / f"{_stem(tag)}.{identity[:16]}.tar"


def export(engine: Engine, tag: str, folder: Path) -> Path:
    """Writes the archive unless it is there, and removes those it replaces. Raises BuildFailedError."""
    folder.mkdir(parents=True, exist_ok=True)
    target = archive_path(folder, tag, engine.identity(tag))
    if not target.exists():
        partial = target.with_suffix(".partial")
        partial.unlink(missing_ok=True)
        engine.export(tag, partial)
        partial.replace(target)
    for former in folder.glob(replaced_pattern(tag)):
        if former != target:
            former.unlink()
            sbom_path(former).unlink(missing_ok=True)
    return target


def replaced_pattern(tag: str) -> str:
    """What an archive of `tag` replaces: former versions of it; of a revision, every other revision."""
    name, _, version = tag.rpartition(":")
    return f"{_stem(f'{name}:dev-')}*.tar" if version.startswith("dev-") else f"{_stem(tag)}.*.tar"


def _stem(tag: str) -> str:
    return re.sub(r"[^\w.-]+", "_", tag.removeprefix("localhost/"))
