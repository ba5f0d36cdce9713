"""An npm registry over real HTTP: one JSON document for each package and its tarballs."""

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from contract.initenv.package_index import FaultyServer

CLI = "#!/usr/bin/env node\nconsole.log('cli');\n"


def make_tarball(name: str, version: str, *, manifest: Mapping[str, Any] | None = None, program: str = CLI) -> bytes:
    """An npm package whose index.js exports its version, and whose cli.js is `program`."""
    package = {"name": name, "version": version, "main": "index.js", **(manifest or {})}
    files = {
        "package/package.json": json.dumps(package),
        "package/index.js": f"module.exports = {json.dumps(version)};\n",
        "package/cli.js": program,
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def integrity_of(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


class NpmRegistry(FaultyServer):
    """The registry: `url` is what npm is given."""

    def __init__(self, tls: tuple[Path, Path] | None = None, *, address: str = "127.0.0.1") -> None:
        super().__init__(tls, address=address)
        self._packages: dict[str, dict[str, dict[str, Any]]] = {}
        self._tarballs: dict[str, bytes] = {}
        self.token: str | None = None

    @property
    def url(self) -> str:
        return f"{self.origin}/"

    def add(
        self,
        name: str,
        version: str,
        *,
        manifest: Mapping[str, Any] | None = None,
        integrity: str = "",
        program: str = CLI,
    ) -> str:
        """Offer a package and return the integrity that the registry claims for it."""
        content = make_tarball(name, version, manifest=manifest, program=program)
        return self.add_tarball(name, version, content, manifest=manifest, integrity=integrity)

    def add_tarball(
        self,
        name: str,
        version: str,
        content: bytes,
        *,
        manifest: Mapping[str, Any] | None = None,
        integrity: str = "",
    ) -> str:
        """Offer a package whose tarball is `content`; the integrity that the registry claims for it."""
        path = f"/{name}/-/{name.rsplit('/', maxsplit=1)[-1]}-{version}.tgz"
        claimed = integrity or integrity_of(content)
        self._tarballs[path] = content
        self._packages.setdefault(name, {})[version] = {
            "name": name,
            "version": version,
            **(manifest or {}),
            "dist": {"tarball": f"{self.origin}{path}", "integrity": claimed},
        }
        return claimed

    def lock(self, *names: str) -> dict[str, Any]:
        """A package-lock.json that pins the newest version of each name."""
        packages: dict[str, Any] = {
            "": {"name": "locked", "dependencies": {name: max(self._packages[name]) for name in names}}
        }
        for name in names:
            newest = self._packages[name][max(self._packages[name])]
            packages[f"node_modules/{name}"] = {
                "version": newest["version"],
                "resolved": newest["dist"]["tarball"],
                "integrity": newest["dist"]["integrity"],
            }
        return {"name": "locked", "lockfileVersion": 3, "requires": True, "packages": packages}

    def answer(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes = b""
    ) -> tuple[int, str, bytes]:
        del method, body
        lowered = {name.lower(): value for name, value in headers.items()}
        if self.token is not None and lowered.get("authorization") != f"Bearer {self.token}":
            return 401, "application/json", b'{"error": "token, please"}'
        path = unquote(path)
        if path in self._tarballs:
            return 200, "application/octet-stream", self._tarballs[path]
        versions = self._packages.get(path.strip("/"))
        if versions is None:
            return 404, "application/json", b'{"error": "Not found"}'
        document = {
            "name": path.strip("/"),
            "dist-tags": {"latest": max(versions)},
            "versions": versions,
        }
        return 200, "application/json", json.dumps(document).encode()
