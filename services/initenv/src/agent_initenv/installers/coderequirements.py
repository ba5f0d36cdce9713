"""What the agent's code says it needs, in the files that its authors already have.

    python   uv.lock beside pyproject.toml; else requirements.txt; else pyproject.toml's [project] dependencies
    nodejs   package-lock.json or npm-shrinkwrap.json beside package.json; else package.json's dependencies

The first that is there counts. Files are read from the agent's code, which links cannot leave, and are bounded.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent_api.initplan import Runtime
from agent_api.initreport import InitFault
from agent_initenv.errors import StepError

LARGEST_BYTES: Final = 16 << 20
_MOST_FILES: Final = 32
_MOST_REQUIREMENTS: Final = 2000
_CURE: Final = "Correct it, or set spec.agent.environment.sdk.fromCode: Off and name the packages in sdk.packages."
_INCLUDE: Final = re.compile(r"(?:-r\s*|--requirement[= ]\s*)(\S+)")
_IGNORED: Final = re.compile(
    r"(?:-i|--index-url|--extra-index-url|-f|--find-links|--no-index|--pre|--prefer-binary|--only-binary|--no-binary"
    r"|--trusted-host|--use-feature|-c|--constraint)\b|(?:-e|--editable)[= ]\s*\.(?:\[[^\]]*\])?$|\.(?:\[[^\]]*\])?$"
)
_FOREIGN_LOCKS: Final = {
    "python": ("poetry.lock", "Pipfile.lock", "pdm.lock"),
    "nodejs": ("yarn.lock", "pnpm-lock.yaml"),
}
_OWN_LOCKS: Final = {"python": "uv.lock and a requirements.txt with hashes", "nodejs": "package-lock.json"}


@dataclass(frozen=True)
class CodeRequirements:
    """`lock`: the bytes of a lock file, or of the uv.lock when `project` is the folder of a uv project."""

    origin: str
    requirements: tuple[str, ...] = ()
    lock: bytes | None = None
    project: Path | None = None
    notes: tuple[str, ...] = ()


def read_requirements(code: Path, runtime: Runtime) -> CodeRequirements | None:
    """What the code in folder `code` needs; None when it says nothing. Raises StepError (PlanInvalid)."""
    if not code.is_dir():
        return None
    found = _read_python(code) if runtime == "python" else _read_nodejs(code)
    foreign = next((name for name in _FOREIGN_LOCKS[runtime] if (code / name).is_file()), None)
    if foreign is None or (found is not None and found.lock is not None):
        return found
    note = f"{foreign} is not read, only {_OWN_LOCKS[runtime]}"
    return CodeRequirements(
        found.origin if found else foreign,
        found.requirements if found else (),
        notes=(*(found.notes if found else ()), note),
    )


def _read_python(code: Path) -> CodeRequirements | None:
    project, lock, listed = code / "pyproject.toml", code / "uv.lock", code / "requirements.txt"
    if lock.is_file() and project.is_file():
        return CodeRequirements("uv.lock", lock=_read(lock), project=code)
    if listed.is_file():
        return _read_listed(listed, code)
    return _read_project(project) if project.is_file() else None


def _read_listed(listed: Path, code: Path) -> CodeRequirements:
    lines = list(_lines_of(listed, code, set()))
    kept = [line for line in lines if not _IGNORED.match(line)]
    notes = tuple(f"{listed.name}: left out: {re.split('[= ]', line)[0]}" for line in lines if _IGNORED.match(line))
    if kept and all("--hash=" in line or "--hash " in line for line in kept):
        return CodeRequirements(listed.name, lock="\n".join(kept).encode(), notes=notes)
    plain = tuple(re.sub(r"\s+--hash[= ]\S+", "", line) for line in kept)
    return CodeRequirements(listed.name, plain, notes=notes)


def _lines_of(listed: Path, code: Path, seen: set[Path]) -> Iterator[str]:
    """Requirements and options, one each, of a requirements.txt and of those it includes."""
    real = listed.resolve()
    if not real.is_relative_to(code.resolve()) or not real.is_file():
        cause = f"requirements.txt includes {listed.name}, which is not a file of the agent's code."
        raise StepError(InitFault.PLAN_INVALID, cause, _CURE)
    if real in seen or len(seen) >= _MOST_FILES:
        return
    seen.add(real)
    text = _read(real).decode(errors="replace").replace("\\\n", " ").replace("\\\r\n", " ")
    for raw in text.splitlines():
        line = re.sub(r"(?:^|\s)#.*", "", raw).strip()
        if include := _INCLUDE.fullmatch(line):
            yield from _lines_of(real.parent / include[1], code, seen)
        elif line:
            yield line


def _read_project(project: Path) -> CodeRequirements | None:
    import tomllib  # noqa: PLC0415 - milliseconds that only such a project is worth

    try:
        document = tomllib.loads(_read(project).decode())
    except (ValueError, RecursionError) as error:
        raise StepError(InitFault.PLAN_INVALID, f"{project.name} cannot be read: {error}.", _CURE) from error
    table = document.get("project", {})
    named = _texts(table.get("dependencies", []) if isinstance(table, dict) else [], project.name)
    if named:
        return CodeRequirements(project.name, named)
    tool = document.get("tool", {})
    if isinstance(tool, dict) and "poetry" in tool:
        return CodeRequirements(project.name, notes=("[tool.poetry] is not read, only [project] dependencies",))
    return None


def _read_nodejs(code: Path) -> CodeRequirements | None:
    manifest = code / "package.json"
    if not manifest.is_file():
        return None
    named = tuple(_specs_of(_load(manifest), manifest.name))
    for name in ("npm-shrinkwrap.json", "package-lock.json"):
        if (code / name).is_file():
            return CodeRequirements(name, lock=_read(code / name)) if named else None
    return CodeRequirements(manifest.name, named) if named else None


def _specs_of(document: object, origin: str) -> Iterator[str]:
    dependencies = document.get("dependencies", {}) if isinstance(document, dict) else None
    if not isinstance(dependencies, dict) or len(dependencies) > _MOST_REQUIREMENTS:
        raise StepError(InitFault.PLAN_INVALID, f"{origin} has `dependencies` that are not a list of packages.", _CURE)
    for name, version in dependencies.items():
        if not isinstance(version, str):
            raise StepError(InitFault.PLAN_INVALID, f"{origin}: the version of {name!r} is not a text.", _CURE)
        yield version if version.startswith(("http://", "https://")) else f"{name}@{version or '*'}"


def _load(path: Path) -> object:
    try:
        return json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise StepError(InitFault.PLAN_INVALID, f"{path.name} is not JSON: {error}.", _CURE) from error


def _texts(value: object, origin: str) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else [None]
    texts = tuple(each for each in entries if isinstance(each, str))
    if len(texts) != len(entries) or len(texts) > _MOST_REQUIREMENTS:
        raise StepError(
            InitFault.PLAN_INVALID, f"{origin} has `dependencies` that are not a list of requirements.", _CURE
        )
    return texts


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise StepError(InitFault.PLAN_INVALID, f"{path.name} is larger than {LARGEST_BYTES >> 20} MiB.", _CURE)
    return content
