"""What was resolved is told: no fall back in silence, builds and install scripts only where they are allowed."""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from typing import Any

import pytest
from contract.initenv.harness import Pod
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex

from agent_api.initreport import InitFault

BACKEND = """
import pathlib, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "built-2.0-py3-none-any.whl"
    with zipfile.ZipFile(pathlib.Path(folder) / name, "w") as wheel:
        wheel.writestr("built.py", "VERSION = 'built'")
        wheel.writestr("built-2.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: built\\nVersion: 2.0\\n")
        tags = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("built-2.0.dist-info/WHEEL", tags)
        wheel.writestr("built-2.0.dist-info/RECORD", "")
    return name
"""


def sdist() -> bytes:
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    project += '[project]\nname = "built"\nversion = "2.0"\n'
    info = "Metadata-Version: 2.1\nName: built\nVersion: 2.0\n"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in {"pyproject.toml": project, "backend.py": BACKEND, "PKG-INFO": info}.items():
            entry = tarfile.TarInfo(f"built-2.0/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def of_python(pod: Pod, index: PackageIndex, *requirements: str, **packages: Any) -> None:
    wanted = {"runtime": "python", "version": "3.11", "requirements": requirements, **packages}
    pod.plan(packages=wanted, index={"pythonUrl": index.url})


def of_nodejs(pod: Pod, registry: NpmRegistry, *specs: str, **packages: Any) -> None:
    pod.plan(packages={"runtime": "nodejs", "requirements": specs, **packages}, index={"npmRegistry": registry.url})


@pytest.mark.parametrize("requirement", ["built", "built>=0.5", "built!=1.5", "built >1 ; python_version>='3'"])
def test_a_fall_back_to_an_older_wheel_is_an_error(pod: Pod, index: PackageIndex, requirement: str) -> None:
    for version in ("1.0", "1.1"):
        index.add_wheel("built", version)
    index.add("built-2.0.tar.gz", sdist())
    of_python(pod, index, requirement)
    error = pod.run().error(InitFault.NO_WHEEL)
    assert "built 1.1 would be installed although 2.0 is the newest" in error.cause
    assert "built==1.1" in error.cure
    assert "allowBuilds" in error.cure
    assert not (pod.shared / "sdk").exists()


def test_a_fall_back_because_of_what_the_newest_needs_is_an_error(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("user", "1.0")
    index.add_wheel("user", "2.0", requires=("built>=2",))
    index.add("built-2.0.tar.gz", sdist())
    of_python(pod, index, "user")
    assert "user 1.0 would be installed although 2.0 is the newest" in pod.run().error(InitFault.NO_WHEEL).cause


@pytest.mark.parametrize("requirement", ["built==1.0", "built<2", "built~=1.0", "built>=1,<=1.9"])
def test_an_older_release_that_was_asked_for_is_noted(pod: Pod, index: PackageIndex, requirement: str) -> None:
    index.add_wheel("built", "1.0")
    index.add("built-2.0.tar.gz", sdist())
    of_python(pod, index, requirement)
    outcome = pod.run()
    assert outcome.prepared().versions == {"built": "1.0"}
    assert f"built 1.0 is not the newest, 2.0 is: {requirement} was asked for" in outcome.stderr
    assert "built 1.0 is not the newest" in outcome.report.steps[0].detail


def test_limits_of_others_are_noted_with_their_reason(pod: Pod, index: PackageIndex) -> None:
    for version in ("1.0", "2.0"):
        index.add_wheel("base", version)
    index.add_wheel("user", "1.0", requires=("base<2",))
    of_python(pod, index, "user", "base")
    outcome = pod.run()
    assert outcome.prepared().versions == {"base": "1.0", "user": "1.0"}
    assert "base 1.0 is not the newest, 2.0 is" in outcome.stderr
    assert "user depend on base<2" in outcome.stderr


def test_builds_are_run_where_they_are_allowed(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("built", "1.0")
    index.add("built-2.0.tar.gz", sdist())
    of_python(pod, index, "built", allowBuilds=True)
    assert pod.run().prepared().versions == {"built": "2.0"}
    assert (pod.shared / "sdk/python/built.py").read_text() == "VERSION = 'built'"


def test_packages_are_unpacked_once(pod: Pod, index: PackageIndex) -> None:
    index.add_wheel("large", "1.0", files={"large.py": "x = 1\n" * 10_000})
    of_python(pod, index, "large")
    pod.run().prepared()
    assert (pod.shared / "sdk/python/large.py").stat().st_nlink == 1
    assert not (pod.shared / ".agentberth/cache").exists()
    assert not list(pod.root.glob("tmp/agentberth-cache*"))


def native(system: str, machine: str) -> dict[str, Any]:
    return {"os": [system], "cpu": [machine]}


def test_a_native_part_that_is_missing(pod: Pod, registry: NpmRegistry) -> None:
    parts = {"tool-darwin-arm64": "1.0.0", "tool-win32-x64": "1.0.0"}
    registry.add("tool-darwin-arm64", "1.0.0", manifest=native("darwin", "arm64"))
    registry.add("tool-win32-x64", "1.0.0", manifest=native("win32", "x64"))
    registry.add("tool", "1.0.0", manifest={"optionalDependencies": parts, "bin": "cli.js"})
    of_nodejs(pod, registry, "tool")
    error = pod.run().error(InitFault.NO_WHEEL)
    assert "tool brings its native part in a package for each platform" in error.cause
    assert "tool-darwin-arm64" in error.cure


def test_a_native_part_that_is_there(pod: Pod, registry: NpmRegistry) -> None:
    machine = {"x86_64": "x64", "aarch64": "arm64"}[os.uname().machine]
    here = f"tool-linux-{machine}"
    registry.add(here, "1.0.0", manifest=native("linux", machine))
    registry.add("tool-win32-x64", "1.0.0", manifest=native("win32", "x64"))
    parts = {here: "1.0.0", "tool-win32-x64": "1.0.0"}
    registry.add("tool", "1.0.0", manifest={"optionalDependencies": parts, "bin": "cli.js"})
    of_nodejs(pod, registry, "tool")
    assert pod.run().prepared().versions["tool"] == "1.0.0"


SCRIPTED: Mapping[str, Any] = {
    "bin": {"tool": "made.js"},
    "scripts": {"postinstall": "printf '#!/bin/sh\\necho made\\n' > made.js"},
}


def test_a_program_that_an_install_script_makes(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("tool", "1.0.0", manifest=SCRIPTED)
    of_nodejs(pod, registry, "tool")
    error = pod.run().error(InitFault.NO_WHEEL)
    assert "The program tool of tool is made by its install script" in error.cause
    assert "allowScripts: [tool]" in error.cure
    of_nodejs(pod, registry, "tool", allowScripts=["tool"])
    pod.run().prepared()
    assert "echo made" in (pod.shared / "sdk/nodejs/node_modules/tool/made.js").read_text()


def test_only_scripts_that_are_allowed_are_run(pod: Pod, registry: NpmRegistry) -> None:
    for name in ("trusted", "hostile"):
        manifest = {"scripts": {"postinstall": f"touch ../../{name}-ran"}, "bin": "cli.js"}
        registry.add(name, "1.0.0", manifest=manifest)
    of_nodejs(pod, registry, "trusted", "hostile", allowScripts=["trusted"])
    outcome = pod.run()
    outcome.prepared()
    assert [path.name for path in (pod.shared / "sdk/nodejs").glob("*-ran")] == ["trusted-ran"]
    assert "the install script of hostile was not run" in outcome.stderr


@pytest.mark.parametrize(
    "engine,version,fits",
    [(">=22", "20", False), ("^18 || ^20", "20", True), (">=20.11", "20", True), ("<20", "22.1.0", False)],
)
def test_engines_are_those_of_the_agents_node(
    pod: Pod, registry: NpmRegistry, engine: str, version: str, fits: bool
) -> None:
    registry.add("tool", "1.0.0", manifest={"engines": {"node": engine}})
    of_nodejs(pod, registry, "tool", version=version)
    outcome = pod.run()
    if fits:
        outcome.prepared()
    else:
        assert f"tool 1.0.0 asks for node {engine}" in outcome.error(InitFault.UNRESOLVABLE).cause


def test_a_deprecated_package_is_noted(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("tool", "1.0.0", manifest={"deprecated": "use another"})
    of_nodejs(pod, registry, "tool")
    outcome = pod.run()
    outcome.prepared()
    assert json.dumps("deprecated tool@1.0.0: use another").strip('"') in outcome.stderr
