"""What both kinds of packages have in common: one folder for all of /shared/sdk, one fingerprint, one swap."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from agent_api.initplan import PlannedPackages
from agent_api.initreport import InitFault, StepName
from agent_api.layout import SHARED
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.index import PackageSource
from agent_initenv.retry import RetryPolicy
from agent_initenv.tree import normalise_modes
from agent_initenv.volume import Stamp, digest

SDK: Final = f"{SHARED}/sdk"
NODE_MODULES: Final = f"{SHARED}/node_modules"


class Installer(Protocol):
    """Puts the packages of one runtime into a folder."""

    def install(self, folder: Path, retry: RetryPolicy) -> dict[str, str]:
        """Fill the new `folder`; the version of each package by name. Raises StepError or TransientError."""


class PackagesStep:
    """Installs to /shared/sdk/<runtime> and removes what another runtime left there."""

    name: StepName = "packages"

    def __init__(
        self,
        packages: PlannedPackages,
        context: StepContext,
        source: Callable[[], PackageSource],
        installer: Callable[[PlannedPackages, PackageSource, StepContext], Installer],
    ) -> None:
        self._packages = packages
        self._context = context
        self._source = source
        self._installer = installer
        self._target = context.volume.locate(SDK)
        count = len(packages.requirements)
        version = f" {packages.version}" if packages.version else ""
        what = "from the lock" if packages.lock else f"{count} requirement{'s' if count != 1 else ''}"
        self.title = f"{what} for {packages.runtime}{version}"

    def is_current(self, stamp: Stamp, retry: RetryPolicy) -> bool:
        """Whether the same packages were asked for, from the same index."""
        del retry
        return self._target.is_dir() and stamp.fingerprint == self._fingerprint()

    def build(self, retry: RetryPolicy) -> Stamp:
        """Install to staging, each attempt into an empty folder, then replace /shared/sdk."""
        fingerprint = self._fingerprint()
        installer = self._installer(self._packages, self._source(), self._context)

        def attempt() -> dict[str, str]:
            folder = self._context.volume.stage(self.name) / self._packages.runtime
            folder.mkdir()
            return installer.install(folder, retry)

        versions = retry.call(attempt)
        staged = self._context.volume.staged(self.name)
        stamp = Stamp(
            fingerprint,
            detail=f"{len(versions)} package{'s' if len(versions) != 1 else ''}",
            size_bytes=normalise_modes(staged),
            versions=versions,
        )
        self._link_modules()
        self._context.volume.publish(self.name, staged, self._target, stamp)
        return stamp

    def _link_modules(self) -> None:
        """Shows the packages above /shared/code: `import` of an ES module looks there, and not at NODE_PATH."""
        link = self._context.volume.locate(NODE_MODULES)
        link.unlink(missing_ok=True)
        if self._packages.runtime == "nodejs":
            link.symlink_to("sdk/nodejs/node_modules")

    def _fingerprint(self) -> str:
        packages = self._packages
        source = self._source()
        lock = read_lock(packages, self._context)
        return digest(
            packages.runtime,
            packages.version,
            packages.requirements,
            sha256(lock).hexdigest() if lock is not None else None,
            sha256(f"{source.python_url} {source.npm_registry}".encode()).hexdigest(),
        )


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
