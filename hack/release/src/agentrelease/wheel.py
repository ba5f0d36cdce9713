"""The one wheel of a release.

The workspace has a package for each part, and their plain names (agent-api, agent-kit) belong to others on the public
index. A wheel that required them by name could be given a stranger's package, so `agentberth` carries them itself and
requires third parties only.
"""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentberth.cluster.bundle import FILE, Choices, without_definition
from agentberth.yamlout import dump

from .errors import BuildError

ROOT = Path(__file__).resolve().parents[4]
NAME = "agentberth"
_GROUPS = ("libs", "services")


@dataclass(frozen=True)
class Package:
    """A member of the workspace."""

    folder: Path
    project: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Package":
        return cls(folder, tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"])

    @property
    def module(self) -> str:
        return str(self.project["name"]).replace("-", "_")

    def requirements(self, extras: frozenset[str]) -> Iterator[str]:
        """What it needs with `extras`, as in its pyproject.toml."""
        yield from self.project.get("dependencies", ())
        for extra in sorted(extras):
            yield from self.project["optional-dependencies"][extra]


def name_and_extras(requirement: str) -> tuple[str, frozenset[str]]:
    """`agent-kit[uvloop]>=1` as ("agent-kit", {"uvloop"})."""
    bare = re.split(r"[;<>=!~ ]", requirement, maxsplit=1)[0]
    name, _, extras = bare.rstrip("]").partition("[")
    return name, frozenset(filter(None, extras.split(",")))


def carried(root: Path = ROOT) -> tuple[tuple[Package, ...], tuple[str, ...]]:
    """The packages that the wheel carries, and the requirements on third parties that they have together."""
    folders = (file.parent for group in _GROUPS for file in sorted((root / group).glob("*/pyproject.toml")))
    members = {str(one.project["name"]): one for one in map(Package.read, (root / "cli", *folders))}
    packages: dict[str, Package] = {}
    third_parties: set[str] = set()
    waiting = [NAME]
    while waiting:
        name, extras = name_and_extras(waiting.pop())
        packages[name] = members[name]
        for requirement in members[name].requirements(extras):
            if name_and_extras(requirement)[0] not in members:
                third_parties.add(requirement)
            elif name_and_extras(requirement)[0] not in packages:
                waiting.append(requirement)
    return tuple(packages.values()), tuple(sorted(third_parties))


def stage(target: Path, version: str, root: Path = ROOT) -> None:
    """Writes the project that the wheel is built from below `target`, which must not exist."""
    packages, requirements = carried(root)
    for package in packages:
        ignored = shutil.ignore_patterns("__pycache__", ".agentberth")
        shutil.copytree(package.folder / "src" / package.module, target / "src" / package.module, ignore=ignored)
    shutil.copy(root / "LICENSE", target / "LICENSE")
    shutil.copy(root / "cli" / "README.md", target / "README.md")
    (target / "pyproject.toml").write_text(_project(packages, requirements, version), encoding="utf-8")


def build_wheel(output: Path, version: str, scratch: Path, images: Mapping[str, str]) -> Path:
    """The wheel in `output`, whose `agentberth install` installs `images`. Raises BuildError."""
    stage(scratch / "wheel", version)
    if images:
        manifests = scratch / "wheel/src" / NAME / "cluster" / FILE
        manifests.write_text(dump(without_definition(Choices(images=images))), encoding="utf-8")
    uv = shutil.which("uv", path=str(ROOT / ".tools" / "bin")) or "uv"
    command = [uv, "build", "--quiet", "--wheel", "--no-sources", "--out-dir", str(output), str(scratch / "wheel")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=scratch)
    if done.returncode:
        raise BuildError(f"uv could not build the wheel: {done.stderr.strip()}")
    return output / f"{NAME}-{version}-py3-none-any.whl"


def _project(packages: tuple[Package, ...], requirements: tuple[str, ...], version: str) -> str:
    main = packages[0].project
    scripts = {name: call for package in packages for name, call in package.project.get("scripts", {}).items()}
    lines = [
        "[project]",
        f'name = "{NAME}"',
        f'version = "{version}"',
        f'description = "{main["description"]}"',
        f'requires-python = "{main["requires-python"]}"',
        f'license = "{main["license"]}"',
        'license-files = ["LICENSE"]',
        'readme = "README.md"',
        f"keywords = {list(main['keywords'])}",
        f"classifiers = {list(main['classifiers'])}",
        f"dependencies = {list(requirements)}",
        "[project.scripts]",
        *(f'{name} = "{call}"' for name, call in scripts.items()),
        "[build-system]",
        'requires = ["uv_build>=0.13,<0.14"]',
        'build-backend = "uv_build"',
        "[tool.uv.build-backend]",
        f"module-name = {[package.module for package in packages]}",
    ]
    return "\n".join(lines) + "\n"
