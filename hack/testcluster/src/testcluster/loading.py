"""Loads image archives, but not those whose images the node has already: an import unpacks hundreds of megabytes."""

import json
import tarfile
from pathlib import Path

from .components import node
from .home import Home


def load_archive(home: Home, archive: Path) -> list[str]:
    """Loads a docker or OCI archive; returns one line per image. Raises CommandError."""
    images = images_in(archive)
    if images and all(loaded_image(home, tag) == image for tag, image in images.items()):
        return [f"{tag}: already loaded" for tag in images]
    return node.import_image(home, archive)


def images_in(archive: Path) -> dict[str, str]:
    """The image id of each tag of a docker archive; empty for an archive of another kind."""
    with tarfile.open(archive) as content:
        try:
            member = content.extractfile("manifest.json")
        except KeyError:
            return {}
        entries = json.load(member) if member else []
    return {tag: Path(entry["Config"]).stem for entry in entries for tag in entry.get("RepoTags") or ()}


def loaded_image(home: Home, tag: str) -> str:
    """The id of the image that the node has under `tag`, empty when there is none. Raises CommandError."""
    rows = (line.split() for line in node.containerctl(home, "images", "list", f"name=={tag}").splitlines()[1:])
    digest = next((row[2] for row in rows if len(row) > 2), None)
    if digest is None:
        return ""
    manifest = json.loads(node.containerctl(home, "content", "get", digest))
    return str(manifest.get("config", {}).get("digest", "")).removeprefix("sha256:")
