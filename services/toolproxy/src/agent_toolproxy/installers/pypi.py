"""A Python package with a console script, in an environment of its own.

First the names are resolved to a list with a hash for every file; the list's sha256 is the tool's digest. Then
exactly that list is installed, from wheels alone: building a package would run its code here.
"""

import asyncio
import configparser
import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from agent_api.toolslock import LockedTool
from agent_base.packagenames import normalise_project
from agent_base.proxies import network_variables
from agent_toolproxy.errors import NotFound, PackageFailed
from agent_toolproxy.installers.package import InstallParts
from agent_toolproxy.installers.packager import Index, Packager
from agent_toolproxy.installers.request import Installed, Installer, InstallRequest
from agent_toolproxy.store.store import Store

_FORM: Final = re.compile(
    r"pypi:(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?P<extras>\[[A-Za-z0-9._,-]+\])?"
    r"(?:==(?P<version>[A-Za-z0-9.!+_-]+))?"
)
_LIST: Final = "packages.txt"
_LARGEST_ENTRY_POINTS_BYTES: Final = 1 << 20
_ENVIRONMENT: Final = "env"
_PYTHON: Final = f"{_ENVIRONMENT}/bin/python"


@dataclass(frozen=True)
class PypiSource:
    """`pypi:name==version`: a Python package with a console script."""

    name: str
    extras: str
    version: str

    @classmethod
    def read(cls, text: str) -> Self | None:
        found = _FORM.fullmatch(text)
        return cls(found["name"], found["extras"] or "", found["version"] or "") if found else None

    @property
    def requirement(self) -> str:
        """As pip has it."""
        return f"{self.name}{self.extras}" + (f"=={self.version}" if self.version else "")

    def installer(self, parts: InstallParts) -> Installer:
        uv = parts.find_program("uv")
        return PypiInstaller(
            self, index=parts.index, platform=parts.platform, store=parts.store, uv=uv, path=parts.path
        )


class PypiInstaller:
    """Installs one requirement with uv."""

    def __init__(self, source: PypiSource, *, index: Index, platform: str, store: Store, uv: str, path: str) -> None:
        self._source = source
        self._platform = platform
        self._store = store
        self._packager = Packager(program=uv, environment=_environment(index, store.cache("uv"), path))

    async def install(self, request: InstallRequest) -> Installed:
        """Raises InstallError."""
        with self._store.staging() as work:
            packages = request.packages or await self._resolve(work, request)
            digest = hashlib.sha256(packages.encode()).hexdigest()
            locked = LockedTool(
                version=request.version or self._source.version,
                source=f"pypi:{self._source.requirement}",
                platform=self._platform,
                sha256=digest,
                constraints=request.constraints,
            )
            request.check(locked, packages)
            folder = self._store.folder(digest) or await self._build(digest, packages, request)
        program = await asyncio.to_thread(self._find_script, folder, request)
        return Installed(folder=folder, program=program, launcher=_PYTHON, locked=locked, packages=packages)

    async def _resolve(self, work: Path, request: InstallRequest) -> str:
        (work / "wanted.txt").write_text(self._source.requirement + "\n")
        (work / "constraints.txt").write_text("".join(f"{each}\n" for each in request.constraints))
        wanted = ("wanted.txt", *(("--constraints", "constraints.txt") if request.constraints else ()))
        arguments = ("pip", "compile", *wanted, "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
        await self._packager.run(
            (*arguments, "--no-build", "--python", sys.executable, "--output-file", _LIST), work, request.limits
        )
        return _without_index(await asyncio.to_thread((work / _LIST).read_text))

    async def _build(self, digest: str, packages: str, request: InstallRequest) -> Path:
        with self._store.staging() as staged:
            (staged / _LIST).write_text(packages)
            venv = ("venv", "--relocatable", "--no-project", "--quiet", "--python", sys.executable, _ENVIRONMENT)
            await self._packager.run(venv, staged, request.limits)
            install = ("pip", "install", "--quiet", "--python", _PYTHON, "--require-hashes", "--no-build", "--no-deps")
            await self._packager.run((*install, "--requirements", _LIST), staged, request.limits)
            return await asyncio.to_thread(self._store.commit, staged, digest)

    def _find_script(self, folder: Path, request: InstallRequest) -> str:
        scripts = _console_scripts(folder / _ENVIRONMENT, self._source.name)
        wanted = request.program or next(
            (each for each in (request.name, self._source.name) if each in scripts),
            scripts[0] if len(scripts) == 1 else "",
        )
        path = f"{_ENVIRONMENT}/bin/{wanted}"
        if wanted and "/" not in wanted and (folder / path).is_file():
            return path
        offered = ", ".join(scripts) or "none"
        raise NotFound(
            f"{self._source.name} has no script {wanted or request.name!r}: config.program names one of {offered}"
        )


def _console_scripts(environment: Path, package: str) -> list[str]:
    """The scripts of one distribution, by its own metadata."""
    normal = normalise_project(package)
    for path in environment.glob("lib/python*/site-packages/*.dist-info/entry_points.txt"):
        if normalise_project(path.parent.name.split("-")[0]) == normal:
            parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
            parser.optionxform = str  # type: ignore[assignment, method-assign] # names keep their case
            try:
                parser.read_string(_read_entry_points(path))
            except (configparser.Error, UnicodeDecodeError) as error:
                raise PackageFailed(f"{package}: its entry points cannot be read") from error
            return sorted(parser["console_scripts"]) if "console_scripts" in parser else []
    return []


def _read_entry_points(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LARGEST_ENTRY_POINTS_BYTES).decode()


def _without_index(packages: str) -> str:
    """The list without lines about where it came from: the index may have a password in its URL."""
    return "".join(line for line in packages.splitlines(keepends=True) if not line.startswith("--"))


def _environment(index: Index, cache: Path, path: str) -> dict[str, str]:
    mounted = index.file("index-url")
    url = mounted.read_text().strip() if mounted else index.python_url
    authority = index.file("ca.crt")
    return {
        **network_variables(os.environ),
        "PATH": path,
        "UV_CACHE_DIR": str(cache),
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "copy",
        "UV_HTTP_RETRIES": "1",  # the whole install is tried again, and says why meanwhile
        **({"UV_DEFAULT_INDEX": url} if url else {}),
        **({"SSL_CERT_FILE": str(authority)} if authority else {}),
    }
