"""Makes the program of a tool be there, whatever it comes from."""

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_toolproxy.currentconfig import CurrentConfig
from agent_toolproxy.errors import CallError, InstallError, NotFound
from agent_toolproxy.installers.context import InstallContext
from agent_toolproxy.installers.download import Downloader
from agent_toolproxy.installers.https import HttpsSource
from agent_toolproxy.installers.onpath import PathSource
from agent_toolproxy.installers.owncode import INTERPRETERS, CodeSource
from agent_toolproxy.installers.package import InstallParts, Package
from agent_toolproxy.installers.request import Installed, Installer, InstallRequest
from agent_toolproxy.process.runner import Command, ProcessLimits, run_command
from agent_toolproxy.process.workspace import Workspace, minimal_environment
from agent_toolproxy.sources.source import StdioServer
from agent_toolproxy.store.store import Record, Store
from agent_toolproxy.tools.discovery import FoundTool, current_platform
from agent_toolproxy.tools.lanes import KeyedLocks, Lanes
from agent_toolproxy.tools.pinning import Pins

_VERSION: Final = re.compile(rb"\d+(?:\.\d+)+[\w.+-]*")
_VERSION_S: Final = 5.0
_PACKAGES: Final = 2
"""Package managers at a time for required tools: one takes more than 100 MB. A third one is for optional tools."""
_OPTIONAL_PACKAGES: Final = 1


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that can be run: `launcher` is an interpreter to give it to, or empty."""

    path: str
    launcher: str = ""
    version: str = ""
    digest: str = ""
    source: str = ""

    @property
    def argv(self) -> tuple[str, ...]:
        """How it begins to be called."""
        return (self.launcher, self.path) if self.launcher else (self.path,)


class Provisioner:
    """Finds or installs programs. What installs them is of the image alone: a downloaded tool may be called `node`."""

    def __init__(  # noqa: PLR0913 - the parts of an install
        self,
        *,
        store: Store,
        pins: Pins,
        downloader: Downloader,
        workspace: Workspace,
        image_path: str,
        context: InstallContext,
        current: CurrentConfig,
    ) -> None:
        self._store = store
        self._pins = pins
        self._downloader = downloader
        self._workspace = workspace
        self._image_path = image_path
        self._context = context
        self._current = current
        self._packages = Lanes(_PACKAGES, _OPTIONAL_PACKAGES)
        self._same = KeyedLocks()

    def environment(self, found: FoundTool) -> Mapping[str, str]:
        """Variables that a program needs by where it comes from."""
        return self._context.packages if found.is_own_code else {}

    def which(self, program: str) -> str | None:
        """A program of the image; what is installed below /tools is another place."""
        return shutil.which(program, path=self._image_path)

    async def provide(self, name: str, found: FoundTool, *, required: bool = True) -> Program:
        """The program of `found`, which is installed if it has to be. Raises InstallError.

        Tools of one package come one after the other: the second one finds what the first one fetched.
        """
        package = found.package
        if package is None:
            raise NotFound(f"{name!r} has no program")
        if isinstance(package, PathSource):
            return await self._use_path(package, found)
        if isinstance(package, CodeSource):
            return await asyncio.to_thread(self._use_code, package)
        if found.record is not None:
            return self._use_record(found.record)
        async with self._same.hold(package.url if isinstance(package, HttpsSource) else repr(package)):
            if isinstance(package, HttpsSource):
                return self._use_record(await self._install(name, package, found))
            async with self._packages.enter(required=required):
                return self._use_record(await self._install(name, package, found))

    async def _use_path(self, package: PathSource, found: FoundTool) -> Program:
        path = self.which(package.program)
        if path is None:
            raise NotFound(f"{package.program!r} is not on the proxy's PATH: use an image that has it")
        version = await self._ask_version(path, found.definition.version_arguments)
        return Program(path=path, version=version, source=f"path: {path}")

    def _use_code(self, package: CodeSource) -> Program:
        path = package.find_in(self._context.code)
        interpreter = INTERPRETERS.get(path.suffix)
        launcher = self._need(interpreter) if interpreter else ""
        return Program(path=str(path), launcher=launcher, source=f"code: {package.path}")

    def _use_record(self, record: Record) -> Program:
        folder = self._store.folder(record.digest)
        if folder is None:
            raise NotFound(f"{record.name!r} is gone from the store")
        return Program(
            path=str(folder / record.program),
            launcher=str(folder / record.launcher) if record.launcher else "",
            version=record.version,
            digest=record.digest,
            source=record.source,
        )

    async def _install(self, name: str, package: Package, found: FoundTool) -> Record:
        platform = current_platform()
        pinned = self._pins.expected(name, found.version, platform, found.constraints)
        approved = self._pins.policy.approved.get(name)
        if pinned and approved and approved != pinned.sha256:
            pinned = None
        request = InstallRequest(
            name=name,
            version=found.version,
            program=found.definition.program,
            member=found.member,
            constraints=found.constraints,
            pinned=pinned,
            packages=await asyncio.to_thread(self._pins.packages, pinned.sha256) if pinned else None,
            check=lambda locked, _: self._pins.check_install(name, locked, sha256=found.sha256),
            limits=self._context.limits,
        )
        try:
            installed = await self._installer(package).install(request)
        except OSError as error:
            raise InstallError(
                f"the tools folder cannot be written: {error.strerror or error}", retryable=True
            ) from error
        return await asyncio.to_thread(self._keep, name, found, installed)

    def _keep(self, name: str, found: FoundTool, installed: Installed) -> Record:
        record = Record(
            name=name,
            key=found.key,
            digest=installed.folder.name,
            version=installed.locked.version,
            source=f"{found.place}: {installed.locked.source.partition('?')[0]}",
            program=installed.program,
            launcher=installed.launcher,
        )
        self._pins.record_install(name, installed.locked, installed.packages)
        self._store.save(record)
        if isinstance(found.package, HttpsSource) and not isinstance(found.source, StdioServer):
            self._store.link(name, installed.folder / installed.program)
        return record

    def _installer(self, package: Package) -> Installer:
        return package.installer(
            InstallParts(
                platform=current_platform(),
                store=self._store,
                downloader=self._downloader,
                hidden=self._workspace.hidden,
                index=self._context.index,
                path=self._image_path,
                find_program=self._need,
            )
        )

    def _need(self, program: str) -> str:
        if (path := self.which(program)) is None:
            raise NotFound(f"{program} is not on the proxy's PATH: use an image that has it")
        return path

    async def _ask_version(self, path: str, arguments: tuple[str, ...]) -> str:
        if not arguments:
            return ""
        try:
            with self._workspace.private_folder() as home:
                result = await run_command(self._version_command(path, arguments, home))
        except CallError:
            return ""
        found = _VERSION.search(result.stdout) or _VERSION.search(result.stderr)
        return found[0].decode() if found else ""

    def _version_command(self, path: str, arguments: tuple[str, ...], home: Path) -> Command:
        limits = self._current.limits
        return Command(
            program=path,
            arguments=arguments,
            folder=home,
            environment=minimal_environment(self._image_path, home, self._workspace.root),
            limits=ProcessLimits(
                timeout_s=_VERSION_S,
                output_bytes=4096,
                memory_bytes=limits.memory_bytes,
                processes=limits.processes,
            ),
            confinement=self._workspace.confinement(home),
        )
