"""A program, or an archive with one in it, from a URL."""

import asyncio
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent_api.toolslock import LockedTool
from agent_toolproxy.errors import DownloadFailed, InstallError, LimitExceeded, NotFound
from agent_toolproxy.installers.archive import Kind
from agent_toolproxy.installers.download import Downloader, discard
from agent_toolproxy.installers.package import InstallParts, checked_url
from agent_toolproxy.installers.programcheck import check_program
from agent_toolproxy.installers.request import Installed, Installer, InstallRequest
from agent_toolproxy.installers.unpackchild import Unpacking
from agent_toolproxy.store.store import Store


@dataclass(frozen=True)
class HttpsSource:
    """`https://...`: a file to download, which is a program or an archive with one in it."""

    url: str
    version: str = ""

    @classmethod
    def read(cls, text: str) -> Self | None:
        return cls(checked_url(text, text))

    def installer(self, parts: InstallParts) -> Installer:
        return HttpsInstaller(
            self.url,
            platform=parts.platform,
            store=parts.store,
            downloader=parts.downloader,
            hidden=parts.hidden,
        )


class HttpsInstaller:
    """Downloads one URL, verifies it before looking into it, and unpacks it."""

    def __init__(
        self,
        url: str,
        *,
        platform: str,
        store: Store,
        downloader: Downloader,
        hidden: Path,
    ) -> None:
        self._url = url
        self._platform = platform
        self._store = store
        self._downloader = downloader
        self._hidden = hidden

    async def install(self, request: InstallRequest) -> Installed:
        """Raises InstallError."""
        path = self._store.download(hashlib.sha256(self._url.encode()).hexdigest())
        try:
            async with asyncio.timeout(request.limits.timeout_s):
                sha256 = await self._downloader.fetch(self._url, path, limit_bytes=request.limits.download_bytes)
        except TimeoutError as error:
            raise DownloadFailed(
                "the download took longer than limits.installTimeoutSeconds", retryable=True
            ) from error
        locked = LockedTool(version=request.version, source=self._url, platform=self._platform, sha256=sha256)
        try:
            request.check(locked, None)
            folder, program = await self._place(path, sha256, request)
        except InstallError:
            await asyncio.to_thread(discard, path)
            raise
        await asyncio.to_thread(discard, path)
        return Installed(folder=folder, program=program, locked=locked)

    async def _place(self, path: Path, sha256: str, request: InstallRequest) -> tuple[Path, str]:
        if (folder := self._store.folder(sha256)) is not None:
            return folder, find_program(folder, request)
        with self._store.staging() as staged:
            kind = await Unpacking(path, staged, request.limits, self._hidden).run()
            return await asyncio.to_thread(self._commit, kind, path, staged, sha256, request)

    def _commit(self, kind: Kind, path: Path, staged: Path, sha256: str, request: InstallRequest) -> tuple[Path, str]:
        if kind == "program":
            self._place_program(path, staged, request)
        program = find_program(staged, request)
        check_program(staged / program, self._platform)
        (staged / program).chmod(0o755)
        return self._store.commit(staged, sha256), program

    @staticmethod
    def _place_program(path: Path, staged: Path, request: InstallRequest) -> None:
        if path.stat().st_size > request.limits.unpacked_bytes:
            raise LimitExceeded("the program is larger than limits.unpackedBytes allows")
        shutil.copyfile(path, staged / "program")


def find_program(folder: Path, request: InstallRequest) -> str:
    """The program's path in `folder`. Raises NotFound, which names what is there."""
    if (folder / "program").is_file() and len(os.listdir(folder)) == 1:  # noqa: PTH208 - names are enough
        return "program"
    if request.member:
        if _is_inside(folder, request.member):
            return request.member
        raise NotFound(f"the archive has no file {request.member!r}: {_shown(_list_files(folder))}")
    wanted = request.program or request.name
    files = _list_files(folder)
    named = sorted((each for each in files if Path(each).name in (wanted, f"{wanted}.exe")), key=_rank)
    if named:
        return named[0]
    executable = [each for each in files if (folder / each).stat().st_mode & 0o111]
    if len(executable) == 1:
        return executable[0]
    raise NotFound(f"no program {wanted!r} in the archive: name it in config.program. {_shown(executable or files)}")


def _is_inside(folder: Path, member: str) -> bool:
    path = (folder / member).resolve()
    return path.is_relative_to(folder.resolve()) and path.is_file()


def _list_files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def _rank(path: str) -> tuple[int, int, str]:
    """bin/ first, then the shallowest."""
    parts = Path(path).parts
    return (0 if "bin" in parts[:-1] else 1, len(parts), path)


def _shown(files: list[str]) -> str:
    return "It has " + ", ".join(files[:8]) + (" and others" if len(files) > 8 else "")
