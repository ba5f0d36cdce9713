"""Whether what npm installed can run: engines, programs that an install script was to bring, native parts.

npm reports none of these as an error: it warns, or says nothing, and the agent fails later.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent_api.initreport import InitFault
from agent_initenv.errors import StepError
from agent_initenv.installers.semver import newest_of, satisfies

_SCRIPTS: Final = ("preinstall", "install", "postinstall")
_SYSTEMS: Final = ("linux", "darwin", "win32")
_MACHINES: Final = {"x86_64": 62, "aarch64": 183, "arm64": 183, "riscv64": 243, "s390x": 22}  # e_machine of ELF
_LARGEST_MANIFEST_BYTES: Final = 4 << 20


def review_packages(folder: Path, names: Sequence[str], version: str, allowed: Sequence[str]) -> Iterator[str]:
    """Notes about packages of `folder`. Raises StepError for one of `names` that cannot run.

    `version` is the agent's node, `allowed` are the packages whose install scripts were run.
    """
    entries = _entries(folder)
    for name in names:
        manifest = _manifest(folder, name)
        _check_engine(name, manifest, version)
        _check_native(name, manifest, entries)
        if name not in allowed:
            _check_programs(folder, name, manifest)
    for name, entry in entries.items():
        engine = _engine(entry)
        if name not in names and version and engine and not satisfies(newest_of(version), engine):
            yield f"{name} {entry.get('version')} asks for node {engine}, the agent has {version}"
        if name not in allowed and entry.get("hasInstallScript"):
            yield f"the install script of {name} was not run; if it is needed, add {name} to sdk.allowScripts"


def _check_engine(name: str, manifest: Mapping[str, Any], version: str) -> None:
    engine = _engine(manifest)
    if version and engine and not satisfies(newest_of(version), engine):
        raise StepError(
            InitFault.UNRESOLVABLE,
            f"{name} {manifest.get('version')} asks for node {engine}, and the agent has node {version}.",
            f"Pin a release of {name} that runs there, or change the version of spec.agent.code or spec.agent.package.",
        )


def _check_native(name: str, manifest: Mapping[str, Any], entries: Mapping[str, Any]) -> None:
    """Packages bring native parts as optional packages, one a platform; npm is silent when none is there."""
    optional = manifest.get("optionalDependencies", {})
    native = [each for each in optional if any(system in each for system in _SYSTEMS)] if optional else []
    if len(native) < 2 or any(each in entries for each in native):
        return
    raise StepError(
        InitFault.NO_WHEEL,
        f"{name} brings its native part in a package for each platform, and none for "
        f"{os.uname().sysname.lower()} on {os.uname().machine} was installed.",
        f"Check that the registry, or the lock, has one of: {', '.join(native[:6])}.",
    )


def _check_programs(folder: Path, name: str, manifest: Mapping[str, Any]) -> None:
    """A package whose install script fetches its program has a placeholder, or nothing, in its place."""
    scripts = manifest.get("scripts", {})
    if not isinstance(scripts, dict) or not any(script in scripts for script in _SCRIPTS):
        return
    declared = manifest.get("bin", {})
    programs = {name: declared} if isinstance(declared, str) else declared
    package = folder / "node_modules" / name
    for program, path in (programs if isinstance(programs, dict) else {}).items():
        if not _can_run(package / str(path)):
            raise StepError(
                InitFault.NO_WHEEL,
                f"The program {program} of {name} is made by its install script, and none is run.",
                f"Set spec.agent.environment.sdk.allowScripts: [{name}] if you trust it.",
            )


def _can_run(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(20)
    except OSError:
        return False
    if head[:4] == b"\x7fELF":
        wanted = _MACHINES.get(os.uname().machine)
        return wanted is None or int.from_bytes(head[18:20], "little" if head[5] == 1 else "big") == wanted
    is_mac = os.uname().sysname == "Darwin" and head[:4] in {b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"}
    return head[:2] == b"#!" or is_mac


def _engine(manifest: Mapping[str, Any]) -> str:
    engines = manifest.get("engines")
    engine = engines.get("node", "") if isinstance(engines, dict) else ""
    return engine if isinstance(engine, str) and len(engine) < 256 else ""


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    """What npm put at the top of node_modules, by name."""
    packages = _load(folder / "node_modules" / ".package-lock.json").get("packages", {})
    names = ((path.removeprefix("node_modules/"), entry) for path, entry in packages.items())
    return {name: entry for name, entry in names if "node_modules/" not in name and isinstance(entry, dict)}


def _manifest(folder: Path, name: str) -> dict[str, Any]:
    return _load(folder / "node_modules" / name / "package.json")


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LARGEST_MANIFEST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
