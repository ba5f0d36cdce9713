"""What both kinds of packages have in common: one folder for all of /shared/sdk, one fingerprint, one swap."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from agent_api.initplan import PlannedPackages
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED, SHARED_CODE
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.index import PackageSource
from agent_initenv.installers.coderequirements import CodeRequirements, read_requirements
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import normalise_modes
from agent_initenv.volume import Stamp, digest

SDK: Final = f"{SHARED}/sdk"
NODE_MODULES: Final = f"{SHARED}/node_modules"
_DETAIL_NOTES: Final = 3
_DETAIL_CHARS: Final = 300


@dataclass(frozen=True)
class WantedPackages:
    """What is to be installed: by the plan, and by the code itself.

    `lock` is the content of a lock file, `project` the folder of a uv project whose uv.lock that is.
    """

    planned: PlannedPackages
    requirements: tuple[str, ...]
    lock: bytes | None = None
    project: Path | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to install."""
        return not self.requirements and self.lock is None


@dataclass(frozen=True)
class Installed:
    """The version of each package by name, what was asked for first; and what a reader should know of them."""

    versions: dict[str, str]
    notes: tuple[str, ...] = ()


class Installer(Protocol):
    """Puts the packages of one runtime into a folder."""

    def install(self, folder: Path, retry: RetryPolicy) -> Installed:
        """Fill the new `folder`. Raises StepError or TransientError."""


class PackagesStep:
    """Installs to /shared/sdk/<runtime> and removes what another runtime left there."""

    name: StepName = "packages"

    def __init__(
        self,
        packages: PlannedPackages,
        context: StepContext,
        source: Callable[[], PackageSource],
        installer: Callable[[WantedPackages, PackageSource, StepContext], Installer],
    ) -> None:
        self._packages = packages
        self._context = context
        self._source = source
        self._installer = installer
        self._target = context.volume.locate(SDK)
        version = f" {packages.version}" if packages.version else ""
        self.title = f"{_title(packages)} for {packages.runtime}{version}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether the same packages were asked for, from the same index."""
        del retry
        return self._target.is_dir() and stamp.fingerprint == self._fingerprint()

    def build(self, retry: RetryPolicy) -> Stamp:
        """Install to staging, each attempt into an empty folder, then replace /shared/sdk."""
        fingerprint = self._fingerprint()
        installed = self._install(retry)
        for note in installed.notes:
            self._context.progress.note(self.name, note)
        staged = self._context.volume.staged(self.name)
        stamp = Stamp(
            fingerprint,
            detail=_describe(installed),
            size_bytes=normalise_modes(staged),
            versions=installed.versions,
        )
        self._link_modules()
        self._context.volume.publish(self.name, staged, self._target, stamp)
        return stamp

    def _install(self, retry: RetryPolicy) -> Installed:
        if self._wanted.is_empty:
            (self._context.volume.stage(self.name) / self._packages.runtime).mkdir()
            return Installed({})
        installer = self._installer(self._wanted, self._source(), self._context)

        def attempt() -> Installed:
            folder = self._context.volume.stage(self.name) / self._packages.runtime
            folder.mkdir()
            return installer.install(folder, retry)

        return retry.call(attempt)

    @cached_property
    def _wanted(self) -> WantedPackages:
        """Read when the code is there."""
        planned = self._packages
        wanted = WantedPackages(planned, planned.requirements, read_lock(planned, self._context))
        found = self._read_code() if planned.from_code else None
        if found is None:
            return wanted
        note = self._context.progress.note
        if wanted.lock is not None:
            note(self.name, f"{found.origin} of the code is not read: sdk.lockConfigMap says what is installed")
            return wanted
        note(self.name, f"{found.origin} of the code is read")
        for line in found.notes:
            note(self.name, line)
        requirements = (*planned.requirements, *found.requirements)
        return replace(wanted, requirements=requirements, lock=found.lock, project=found.project)

    def _read_code(self) -> CodeRequirements | None:
        return read_requirements(self._context.volume.locate(SHARED_CODE), self._packages.runtime)

    def _link_modules(self) -> None:
        """Shows the packages above /shared/code: `import` of an ES module looks there, and not at NODE_PATH."""
        link = self._context.volume.locate(NODE_MODULES)
        link.unlink(missing_ok=True)
        if self._packages.runtime == "nodejs":
            link.symlink_to("sdk/nodejs/node_modules")

    def _fingerprint(self) -> str:
        packages, wanted = self._packages, self._wanted
        source = self._source()
        return digest(
            packages.runtime,
            packages.version,
            wanted.requirements,
            sha256(wanted.lock).hexdigest() if wanted.lock is not None else None,
            sha256(f"{source.python_url} {source.npm_registry}".encode()).hexdigest(),
            packages.allow_builds,
            packages.allow_scripts,
        )


def _title(packages: PlannedPackages) -> str:
    if packages.lock:
        return "from the lock"
    count = len(packages.requirements)
    named = [f"{count} requirement{'s' if count != 1 else ''}"] if count or not packages.from_code else []
    return " and ".join(named + ["what the code names"] * packages.from_code)


def _describe(installed: Installed) -> str:
    count = len(installed.versions)
    text = f"{count} package{'s' if count != 1 else ''}"
    shown = "; ".join((text, *installed.notes[:_DETAIL_NOTES]))
    return shown if len(shown) <= _DETAIL_CHARS else f"{shown[: _DETAIL_CHARS - 3]}..."


def read_lock(packages: PlannedPackages, context: StepContext) -> bytes | None:
    """The content of the lock file; None without one. Raises StepError (FileMissing)."""
    if packages.lock is None:
        return None
    try:
        return context.volume.locate(packages.lock).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise StepError(
            InitFault.FILE_MISSING,
            f"The lock file {packages.lock} is not there.",
            "Check spec.agent.environment.sdk.lockConfigMap and its key.",
        ) from error


def order_versions(versions: dict[str, str], requested: list[str]) -> dict[str, str]:
    """By name, but what was asked for first: a report that is too long loses its end."""
    first = {name for name in versions if name in requested}
    return {name: versions[name] for name in (*sorted(first), *sorted(set(versions) - first))}
