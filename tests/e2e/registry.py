"""The registry that the node of this machine asks for docker.io's images: what hack/images/base has made, under any
name and with any command. So `nginx:latest` and `pullPolicy: Always` are here what they are elsewhere.
"""

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.initenv.package_index import FaultyServer

PORT = 5000
"""As in hack/testcluster/conf/hosts.toml."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_BYTES = "application/octet-stream"
_NOTHING = (404, "application/json", b'{"errors": []}')


class ImageRegistry(FaultyServer):
    """Speaks the part of the OCI distribution API that pulls; the layers stay in the archives."""

    def __init__(self, *, address: str) -> None:
        super().__init__(address=address, port=PORT)
        self._manifests: dict[str, bytes] = {}
        self._configs: dict[str, bytes] = {}
        self._layers: dict[str, tuple[Path, str]] = {}

    def offer(self, image: str, archive: Path, command: Sequence[str] = ()) -> None:
        """Serves the image of a docker archive as docker.io's `image`, NAME:TAG, with its command or another."""
        with tarfile.open(archive) as packed:
            (entry,) = json.loads(_member(packed, "manifest.json"))
            config: dict[str, Any] = json.loads(_member(packed, entry["Config"]))
            sizes = [packed.getmember(layer).size for layer in entry["Layers"]]
        if command:
            config["config"]["Cmd"] = list(command)
        digests: list[str] = config["rootfs"]["diff_ids"]  # the archive's layers are not compressed
        self._layers |= {digest: (archive, layer) for digest, layer in zip(digests, entry["Layers"], strict=True)}
        text = json.dumps(config).encode()
        self._configs[_digest(text)] = text
        layers = [_descriptor(_LAYER, digest, size) for digest, size in zip(digests, sizes, strict=True)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _descriptor(_CONFIG, _digest(text), len(text)),
        }
        document = json.dumps({**manifest, "layers": layers}).encode()
        self._manifests |= {f"library/{image}": document, _digest(document): document}

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        """A manifest by tag or digest, or a blob by digest."""
        del headers, method, body
        _, _, rest = path.partition("?")[0].partition("/v2/")
        name, kind, reference = (*rest.rsplit("/", 2), "", "")[:3]
        if kind == "manifests":
            found = self._manifests.get(reference) or self._manifests.get(f"{name}:{reference}")
            return (200, _MANIFEST, found) if found else _NOTHING
        if reference in self._configs:
            return 200, _BYTES, self._configs[reference]
        return (200, _BYTES, self._layer(reference)) if reference in self._layers else _NOTHING

    def _layer(self, digest: str) -> bytes:
        archive, name = self._layers[digest]
        with tarfile.open(archive) as packed:
            return _member(packed, name)


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    file = packed.extractfile(name)
    assert file is not None, name
    return file.read()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}
