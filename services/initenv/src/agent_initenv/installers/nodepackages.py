"""Node packages by npm: no script of a package runs here, and a lock installs exactly what it names.

npm wants a package.json beside a lock; it is made from the lock's own root entry. npm's own retries are
switched off so that the plan's limits count.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent_api.initreport import InitFault
from agent_initenv.context import StepContext
from agent_initenv.errors import StepError
from agent_initenv.faults import explain
from agent_initenv.index import PackageSource
from agent_initenv.installers.nodereview import review_packages
from agent_initenv.installers.packages import Installed, WantedPackages, order_versions
from agent_initenv.installers.requirements import check_npm, check_version, name_of_npm
from agent_initenv.retry import RetryPolicy

_FETCH_TIMEOUT_MS: Final = 60_000
_FIXED: Final = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--omit=dev",
    "--no-progress",
    "--color=false",
    "--no-update-notifier",
    "--fetch-retries=0",
    f"--fetch-timeout={_FETCH_TIMEOUT_MS}",
    "--logs-max=0",
)
_DEPRECATED: Final = re.compile(r"^npm (?:warn|WARN) (deprecated .{1,200})", re.MULTILINE)
_CURE: Final = "Make the lock anew by `npm install --package-lock-only` with npm 7 or newer."


class NodeInstaller:
    """Installs by `npm install`, or by `npm ci` with a lock."""

    def __init__(self, wanted: WantedPackages, source: PackageSource, context: StepContext) -> None:
        self._wanted = wanted
        self._context = context
        empty = context.private / "empty-npmrc"
        empty.touch()
        self._env = {
            **context.environment,
            **source.trust,
            "NPM_CONFIG_USERCONFIG": str(source.npmrc or empty),
            "NPM_CONFIG_GLOBALCONFIG": str(empty) + "-global",
            "NPM_CONFIG_CACHE": str(context.cache / "npm"),
        }
        if source.npm_registry:
            self._env["NPM_CONFIG_REGISTRY"] = source.npm_registry

    def install(self, folder: Path, retry: RetryPolicy) -> Installed:
        """See `Installer.install`."""
        wanted, planned = self._wanted, self._wanted.planned
        check_version(planned.version)
        for spec in wanted.requirements:
            check_npm(spec)
        names = [name_of_npm(spec) for spec in wanted.requirements]
        if wanted.lock is None:
            (folder / "package.json").write_text('{"private": true}\n')
            printed = self._run("install the packages", ["install", *_FIXED], wanted.requirements, folder, retry)
        else:
            manifest = manifest_of(wanted.lock, names)
            (folder / "package.json").write_text(json.dumps(manifest))
            (folder / "package-lock.json").write_bytes(wanted.lock)
            printed = self._run("install the lock", ["ci", *_FIXED], (), folder, retry)
            names = list(dict.fromkeys([*names, *manifest.get("dependencies", {})]))
        self._run_scripts(folder, retry)
        versions = order_versions(read_versions(folder), names)
        asked = [name for name in names if name in versions]
        notes = review_packages(folder, asked, planned.version, planned.allow_scripts)
        return Installed(versions, (*notes, *_DEPRECATED.findall(printed)))

    def _run_scripts(self, folder: Path, retry: RetryPolicy) -> None:
        """Run the install scripts of the packages that the author trusts."""
        trusted = [name for name in self._wanted.planned.allow_scripts if (folder / "node_modules" / name).is_dir()]
        if trusted:
            fixed = [flag for flag in _FIXED if flag != "--ignore-scripts"]
            self._run("run the install scripts", ["rebuild", *fixed, "--foreground-scripts"], trusted, folder, retry)

    def _run(self, task: str, command: Sequence[str], specs: Sequence[str], folder: Path, retry: RetryPolicy) -> str:
        finished = self._context.programs.run(
            [self._context.programs.find("npm"), *command, "--prefix", str(folder), "--", *specs],
            env=self._env,
            cwd=folder,
            timeout_s=retry.left_s(),
        )
        if finished.code != 0:
            raise explain("npm", task, finished.output)
        return finished.output


def manifest_of(lock: bytes, names: Sequence[str]) -> dict[str, Any]:
    """The package.json that belongs to a package-lock.json.

    Raises StepError: PlanInvalid when it is no lock of version 2 or 3, HashMismatch when an entry has no hash,
    Unresolvable when it does not name one of `names`.
    """
    try:
        packages: dict[str, dict[str, Any]] = json.loads(lock)["packages"]
        root = dict(packages[""])
        entries = {path: dict(entry) for path, entry in packages.items() if path}
    except (ValueError, KeyError, TypeError) as error:
        raise StepError(
            InitFault.PLAN_INVALID, "The lock file is not a package-lock.json of version 2 or 3.", _CURE
        ) from error
    for path, entry in entries.items():
        _check_entry(path, entry)
    missing = [name for name in names if name and f"node_modules/{name}" not in entries]
    if missing:
        raise StepError(InitFault.UNRESOLVABLE, f"The lock file does not name {', '.join(missing)}.", _CURE)
    return {"private": True, **{key: value for key, value in root.items() if key != "workspaces"}}


def _check_entry(path: str, entry: Mapping[str, Any]) -> None:
    if entry.get("link") or not path.startswith("node_modules/"):
        raise StepError(
            InitFault.PLAN_INVALID, f"The lock file has an entry that is not a package of a registry: {path}.", _CURE
        )
    if not entry.get("integrity") and not entry.get("inBundle"):
        raise StepError(InitFault.HASH_MISMATCH, f"The lock file has no integrity hash for {path}.", _CURE)


def read_versions(folder: Path) -> dict[str, str]:
    """The version of each package that npm put at the top of node_modules, by name."""
    listing = folder / "node_modules" / ".package-lock.json"
    if not listing.is_file():
        return {}
    packages: dict[str, dict[str, Any]] = json.loads(listing.read_bytes()).get("packages", {})
    names = {path.removeprefix("node_modules/"): entry for path, entry in packages.items()}
    return {
        name: str(entry["version"])
        for name, entry in names.items()
        if "node_modules/" not in name and "version" in entry
    }
