"""An npm package with a `bin`, in a folder of its own. No script of any package is run.

The digest is of the resolved list: name, version and integrity of every package, without the registry's address.
"""

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

from agent_api.toolslock import LockedTool
from agent_base.proxies import network_variables
from agent_toolproxy.boundedjson import load_json
from agent_toolproxy.errors import NotFound, PackageFailed, SourceInvalid
from agent_toolproxy.installers.package import InstallParts
from agent_toolproxy.installers.packager import Index, Packager
from agent_toolproxy.installers.request import Installed, Installer, InstallRequest
from agent_toolproxy.store.store import Store, canonical_json

_FORM: Final = re.compile(
    r"npm:(?P<name>(?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*)"
    r"(?:@(?P<version>[A-Za-z0-9][A-Za-z0-9.+_-]*))?"
)
_LOCK: Final = "package-lock.json"
_LARGEST_JSON_BYTES: Final = 8 << 20
_FLAGS: Final = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
    "--omit=dev",
)


@dataclass(frozen=True)
class NpmSource:
    """`npm:name@version`: an npm package with a `bin`."""

    name: str
    version: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        found = _FORM.fullmatch(text)
        return cls(found["name"], found["version"] or "") if found else None

    def installer(self, parts: InstallParts) -> Installer:
        npm = parts.find_program("npm")
        return NpmInstaller(
            self, index=parts.index, platform=parts.platform, store=parts.store, npm=npm, path=parts.path
        )


class NpmInstaller:
    """Installs one package with npm."""

    def __init__(self, source: NpmSource, *, index: Index, platform: str, store: Store, npm: str, path: str) -> None:
        self._source = source
        self._platform = platform
        self._store = store
        self._packager = Packager(program=npm, environment=_environment(index, store.cache("npm"), path))

    async def install(self, request: InstallRequest) -> Installed:
        """Raises InstallError."""
        with self._store.staging() as staged:
            packages = request.packages or await self._resolve(staged, request)
            digest = hashlib.sha256(packages.encode()).hexdigest()
            locked = LockedTool(
                version=request.version or self._source.version,
                source=f"npm:{self._source.name}" + (f"@{self._source.version}" if self._source.version else ""),
                platform=self._platform,
                sha256=digest,
                constraints=request.constraints,
            )
            request.check(locked, packages)
            folder = self._store.folder(digest)
            if folder is None:
                await self._fill(staged, packages, request)
                folder = await asyncio.to_thread(self._store.commit, staged, digest)
        program = await asyncio.to_thread(self._find_bin, folder, request)
        return Installed(folder=folder, program=program, locked=locked, packages=packages)

    async def _resolve(self, staged: Path, request: InstallRequest) -> str:
        dependencies = {self._source.name: self._source.version or "*"}
        wanted = {"name": "tool", "private": True, "dependencies": dependencies, **_overrides(request)}
        (staged / "package.json").write_text(json.dumps(wanted))
        await self._packager.run(("install", "--package-lock-only", *_FLAGS), staged, request.limits)
        lock = await asyncio.to_thread(_read_json, staged / _LOCK)
        return canonical_json(_portable(lock)).decode()

    async def _fill(self, staged: Path, packages: str, request: InstallRequest) -> None:
        root = load_json(packages)["packages"][""]
        (staged / "package.json").write_text(json.dumps({"private": True, **root, **_overrides(request)}))
        (staged / _LOCK).write_text(packages)
        await self._packager.run(("ci", *_FLAGS), staged, request.limits)

    def _find_bin(self, folder: Path, request: InstallRequest) -> str:
        bins = _bins_of(folder / "node_modules" / self._source.name, self._source.name)
        short = self._source.name.rpartition("/")[2]
        wanted = request.program or next(
            (each for each in (request.name, short) if each in bins), min(bins) if len(bins) == 1 else ""
        )
        if wanted not in bins:
            offered = ", ".join(sorted(bins)) or "none"
            raise NotFound(
                f"{self._source.name} has no program {wanted or request.name!r}: config.program names one of {offered}"
            )
        path = f"node_modules/.bin/{wanted}"
        if not (folder / path).resolve().is_relative_to(folder.resolve()) or not (folder / path).is_file():
            raise PackageFailed(f"{self._source.name}: its program {wanted!r} is not in the package")
        return path


def _overrides(request: InstallRequest) -> dict[str, Any]:
    """Constraints as npm has them. Raises SourceInvalid for one that has no range."""
    split = [each.rpartition("@") for each in request.constraints]
    if wrong := [version for name, _, version in split if not name]:
        raise SourceInvalid(f"constraint {wrong[0][:100]!r} of an npm package is not written as name@range")
    return {"overrides": {name: version for name, _, version in split}} if split else {}


def _bins_of(package: Path, name: str) -> set[str]:
    try:
        declared = _read_json(package / "package.json").get("bin", {})
    except (OSError, ValueError, AttributeError) as error:
        raise PackageFailed(f"{name}: its package.json cannot be read") from error
    if isinstance(declared, str):
        return {name.rpartition("/")[2]}
    return {PurePosixPath(each).name for each in declared} if isinstance(declared, dict) else set()


def _read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON
    """Raises ValueError, also for a file that is too large, OSError."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_JSON_BYTES + 1)
    if len(content) > _LARGEST_JSON_BYTES:
        raise ValueError("too large")
    return load_json(content)


def _portable(lock: dict[str, Any]) -> dict[str, Any]:
    """The lock without where its packages were fetched from: a mirror has the same ones.

    Optional dependencies that npm did not find are left out: it writes them all the same, and then refuses its own
    lock. Packages with a program for each platform are sometimes published, or mirrored, for some of them alone.
    """
    packages: dict[str, dict[str, Any]] = lock["packages"]
    portable = {
        path: {key: value for key, value in each.items() if key != "resolved"} for path, each in packages.items()
    }
    for path, each in portable.items():
        if optional := each.get("optionalDependencies"):
            found = {name: wanted for name, wanted in optional.items() if _is_locked(name, path, packages)}
            each["optionalDependencies"] = found
    return {"name": "tool", "lockfileVersion": lock["lockfileVersion"], "requires": True, "packages": portable}


def _is_locked(name: str, path: str, packages: Mapping[str, object]) -> bool:
    """Whether the package at `path` finds `name`: below its folder, or as node looks, in each folder above."""
    while f"{path}/node_modules/{name}".removeprefix("/") not in packages:
        if not path:
            return False
        path = path.rpartition("node_modules/")[0].rstrip("/")
    return True


def _environment(index: Index, cache: Path, path: str) -> dict[str, str]:
    rc, authority = index.file("npmrc"), index.file("ca.crt")
    return {
        **network_variables(os.environ),
        "PATH": path,
        "npm_config_cache": str(cache),
        "npm_config_fetch_retries": "1",
        "npm_config_fetch_retry_mintimeout": "1000",  # its own default of ten seconds hides what is wrong for long
        "npm_config_fetch_timeout": "60000",
        "npm_config_globalconfig": str(cache / "no-global-config"),  # must not be the same file as the other
        "npm_config_userconfig": str(rc) if rc else "/dev/null",
        **({"npm_config_registry": index.npm_registry} if index.npm_registry else {}),
        **({"NODE_EXTRA_CA_CERTS": str(authority), "npm_config_cafile": str(authority)} if authority else {}),
    }
