"""Code that brings its own needs: each such file is honoured, the log says which, nothing is ignored in silence."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.harness import Pod
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex

from agent_api.initreport import InitFault

CODE = {"kind": "local", "folder": "/etc/agentberth/code"}


def of_python(pod: Pod, index: PackageIndex, files: dict[str, str], **packages: Any) -> None:
    for path, content in files.items():
        pod.mount(f"code/{path}", content)
    wanted = {"runtime": "python", "version": "3.11", "fromCode": True, **packages}
    pod.plan(code=CODE, packages=wanted, index={"pythonUrl": index.url})


def of_nodejs(pod: Pod, registry: NpmRegistry, files: dict[str, str], **packages: Any) -> None:
    for path, content in files.items():
        pod.mount(f"code/{path}", content)
    pod.plan(
        code=CODE, packages={"runtime": "nodejs", "fromCode": True, **packages}, index={"npmRegistry": registry.url}
    )


@pytest.fixture
def offered(index: PackageIndex) -> PackageIndex:
    for version in ("1.0", "2.0"):
        index.add_wheel("good", version)
        index.add_wheel("other", version)
    return index


def test_requirements_txt_with_what_it_includes(pod: Pod, offered: PackageIndex) -> None:
    files = {
        "requirements.txt": "# needs\n-r more/base.txt\ngood==1.0  # pinned\n",
        "more/base.txt": "other \\\n  >=1\n",
    }
    of_python(pod, offered, files)
    outcome = pod.run()
    assert outcome.prepared().versions == {"good": "1.0", "other": "2.0"}
    assert "requirements.txt of the code is read" in outcome.stderr
    assert pod.run().step("packages") == "unchanged"
    pod.mount("code/more/base.txt", "other==1.0\n")
    assert pod.run().prepared().versions == {"good": "1.0", "other": "1.0"}


def test_what_the_plan_names_is_added(pod: Pod, offered: PackageIndex) -> None:
    of_python(pod, offered, {"requirements.txt": "good==1.0\n"}, requirements=["other==1.0"])
    assert pod.run().prepared().versions == {"good": "1.0", "other": "1.0"}


def test_options_of_requirements_txt_are_left_out_and_said(pod: Pod, offered: PackageIndex) -> None:
    text = "--index-url https://me:c4nary@elsewhere.example.com/simple\n-e .\n.[dev]\ngood==1.0\n"
    of_python(pod, offered, {"requirements.txt": text})
    outcome = pod.run()
    assert outcome.prepared().versions == {"good": "1.0"}
    assert "left out: -e\n" in outcome.stderr
    assert "left out: --index-url\n" in outcome.stderr
    assert "c4nary" not in outcome.stderr


def test_requirements_with_hashes_are_a_lock(pod: Pod, offered: PackageIndex) -> None:
    of_python(pod, offered, {"requirements.txt": f"good==1.0 \\\n    --hash=sha256:{'0' * 64}\n"})
    pod.run().error(InitFault.HASH_MISMATCH)


def test_uv_lock(pod: Pod, offered: PackageIndex, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    text = '[project]\nname = "agent"\nversion = "0"\nrequires-python = ">=3.9"\ndependencies = ["good"]\n'
    (project / "pyproject.toml").write_text(text)
    uv = Path(sys.executable).with_name("uv")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_DEFAULT_INDEX": offered.url}
    subprocess.run([uv, "lock", "--quiet"], cwd=project, env=env, check=True)
    offered.add_wheel("good", "3.0")
    files = {"pyproject.toml": text, "uv.lock": (project / "uv.lock").read_text(), "requirements.txt": "other\n"}
    of_python(pod, offered, files)
    outcome = pod.run()
    assert outcome.prepared().versions == {"good": "2.0"}
    assert "uv.lock of the code is read" in outcome.stderr
    of_python(pod, offered, {}, requirements=["other"])
    assert "lock" in pod.run().error(InitFault.UNRESOLVABLE).cause


def test_pyproject_without_a_lock(pod: Pod, offered: PackageIndex) -> None:
    of_python(pod, offered, {"pyproject.toml": '[project]\nname = "a"\ndependencies = ["good<2", "other"]\n'})
    assert pod.run().prepared().versions == {"good": "1.0", "other": "2.0"}


@pytest.mark.parametrize(
    "files,said",
    [
        ({"pyproject.toml": "[tool.poetry]\nname = 'a'\n", "poetry.lock": "x"}, "poetry.lock is not read"),
        ({"Pipfile.lock": "{}"}, "Pipfile.lock is not read"),
    ],
)
def test_what_cannot_be_read_is_said(pod: Pod, offered: PackageIndex, files: dict[str, str], said: str) -> None:
    of_python(pod, offered, files)
    outcome = pod.run()
    assert outcome.prepared().versions == {}
    assert said in outcome.stderr


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[project\n"},
        {"pyproject.toml": "[project]\ndependencies = 3\n"},
        {"pyproject.toml": "[project]\ndependencies = [[['x']]]\n"},
        {"requirements.txt": "-r ../../init/init.json\n"},
        {"requirements.txt": "-r nothing.txt\n"},
        {"requirements.txt": "./local\n"},
        {"requirements.txt": "--requirement-from=x\n"},
        {"requirements.txt": "x" * (17 << 20)},
    ],
)
def test_files_that_are_wrong(pod: Pod, offered: PackageIndex, files: dict[str, str]) -> None:
    of_python(pod, offered, files)
    cause = pod.run().error(InitFault.PLAN_INVALID).cause
    assert next(iter(files)) in cause or "The requirement" in cause


def test_files_that_include_each_other_end(pod: Pod, offered: PackageIndex) -> None:
    of_python(pod, offered, {"requirements.txt": "-r a.txt\n", "a.txt": "-r requirements.txt\ngood==1.0\n"})
    assert pod.run().prepared().versions == {"good": "1.0"}


def test_code_that_needs_nothing_asks_no_index(pod: Pod, offered: PackageIndex) -> None:
    of_python(pod, offered, {"main.py": ""})
    assert pod.run().prepared().versions == {}
    assert offered.requests == []
    assert pod.run().step("packages") == "unchanged"


def test_off_is_off(pod: Pod, offered: PackageIndex) -> None:
    of_python(pod, offered, {"requirements.txt": "good\n"}, fromCode=False)
    assert pod.run().prepared().versions == {}


def test_package_json(pod: Pod, registry: NpmRegistry) -> None:
    for version in ("1.0.0", "1.5.0", "2.0.0"):
        registry.add("good", version)
    of_nodejs(pod, registry, {"package.json": json.dumps({"dependencies": {"good": "^1.0.0"}})})
    outcome = pod.run()
    assert outcome.prepared().versions == {"good": "1.5.0"}
    assert "package.json of the code is read" in outcome.stderr


def test_package_lock_json(pod: Pod, registry: NpmRegistry) -> None:
    registry.add("good", "1.0.0")
    lock = json.dumps(registry.lock("good"))
    registry.add("good", "1.1.0")
    files = {"package.json": json.dumps({"dependencies": {"good": "^1.0.0"}}), "package-lock.json": lock}
    of_nodejs(pod, registry, files)
    assert pod.run().prepared().versions == {"good": "1.0.0"}


@pytest.mark.parametrize("content", ["[]", "{", '{"dependencies": []}', '{"dependencies": {"a": 1}}', "[" * 99_999])
def test_a_package_json_that_is_wrong(pod: Pod, registry: NpmRegistry, content: str) -> None:
    of_nodejs(pod, registry, {"package.json": content})
    assert "package.json" in pod.run().error(InitFault.PLAN_INVALID).cause
