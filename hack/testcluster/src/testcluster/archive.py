"""Writes an image of one static program as a docker archive, without an image builder.

The sandbox image has to be there before the first Pod, on machines where nothing builds images.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path


def write_image(target: Path, *, program: Path, tag: str, architecture: str) -> None:
    """Writes `target`: an image with `program` at the root as its entry point. The same input, the same bytes."""
    layer = _tar({program.name: (program.read_bytes(), 0o755)})
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    layer_name = f"{digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [tag], "Layers": [layer_name]}]
    files = {config_name: config, layer_name: layer, "manifest.json": json.dumps(manifest).encode()}
    partial = target.with_name(f".{target.name}")
    partial.write_bytes(_tar({name: (content, 0o644) for name, content in files.items()}))
    partial.replace(target)


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
