"""Packages, repositories and folders that attack their preparation: no code of theirs runs beside the Secrets.

Each attack leaves `sprung` somewhere if it works. A run may fail, with a reason, or leave a thing that does no harm.
"""

import io
import os
import stat
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract.initenv.git_server import GitServer, Repository
from contract.initenv.harness import Outcome, Pod
from contract.initenv.hostile_packages import (
    MANIFESTS,
    SECRET,
    SPRING,
    SYSTEM,
    TARBALLS,
    WHEELS,
    assert_unharmed,
    tarball,
)
from contract.initenv.npm_registry import NpmRegistry
from contract.initenv.package_index import PackageIndex

from agent_api.initreport import InitFault

# Wheels

MODULES = {
    "sitecustomize": {"sitecustomize.py": SPRING},
    "usercustomize": {"usercustomize.py": SPRING},
    "path_file": {"evil_path.pth": f"import os; exec({SPRING!r})\n"},
    "json_module": {"json.py": SPRING},
    "os_module": {"os.py": SPRING},
    "encodings_package": {"encodings/__init__.py": SPRING},
    "pip_module": {"pip.py": SPRING},
    "own_init": {"agent_initenv/__init__.py": SPRING},
    "conftest": {"conftest.py": SPRING},
}


def test_no_module_of_a_wheel_runs_while_packages_are_prepared(guarded: Pod, index: PackageIndex) -> None:
    """Neither at once, nor when more is installed beside what is there already."""
    for name, files in MODULES.items():
        index.add_wheel(name, "1.0", files=files)
    index.add_wheel("other", "1.0")
    for wanted in ([*MODULES], [*MODULES, "other"]):
        guarded.plan(packages={"runtime": "python", "requirements": wanted}, index={"pythonUrl": index.url})
        outcome = guarded.run("--phase", "prepare")

        outcome.prepared()
        assert "sprung" not in outcome.stderr
        assert not [path for path in guarded.root.rglob("sprung") if path.is_file()]


def test_no_program_of_a_wheel_stands_in_for_the_systems(guarded: Pod, index: PackageIndex) -> None:
    """In the setup steps, which see what was installed."""
    index.add_wheel(
        "trap", "1.0", files={"trap.py": f"def main():\n    {SPRING}"}, scripts=dict.fromkeys(SYSTEM[:-2], "trap:main")
    )
    commands = [["sh", "-c", "echo fine"], ["env", "true"], ["cat", "/dev/null"], ["ls"], ["git", "--version"]]
    steps = [{"name": f"s{number}", "command": command} for number, command in enumerate(commands)]
    guarded.plan(packages={"runtime": "python", "requirements": ["trap"]}, index={"pythonUrl": index.url}, setup=steps)

    outcome = guarded.run()

    outcome.prepared()
    assert_unharmed(guarded, outcome)


@pytest.mark.parametrize("name", WHEELS)
def test_a_hostile_wheel_reaches_nothing(guarded: Pod, index: PackageIndex, name: str) -> None:
    index.add(*WHEELS[name]("trap"))
    guarded.plan(packages={"runtime": "python", "requirements": ["trap"]}, index={"pythonUrl": index.url})

    outcome = guarded.run("--phase", "prepare")

    assert "Traceback" not in outcome.stderr
    assert_unharmed(guarded, outcome)


SOURCES = {
    "setup_script": {"setup.py": SPRING + "from setuptools import setup; setup(name='trap', version='1.0')\n"},
    "own_backend": {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": SPRING,
    },
    "backend_of_the_index": {
        "pyproject.toml": '[project]\nname="trap"\nversion="1.0"\n'
        '[build-system]\nrequires=["helper"]\nbuild-backend="helper"\n'
    },
}


@pytest.mark.parametrize("name", SOURCES)
def test_no_package_is_built(guarded: Pod, index: PackageIndex, name: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in {**SOURCES[name], "PKG-INFO": "Metadata-Version: 2.1\nName: trap\nVersion: 1.0\n"}.items():
            member = tarfile.TarInfo(f"trap-1.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    index.add("trap-1.0.tar.gz", packed.getvalue())
    index.add_wheel("helper", "1.0", files={"helper.py": SPRING})
    guarded.plan(packages={"runtime": "python", "requirements": ["trap"]}, index={"pythonUrl": index.url})

    outcome = guarded.run("--phase", "prepare")

    outcome.error(InitFault.NO_WHEEL)
    assert_unharmed(guarded, outcome)


# npm


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_reaches_nothing(guarded: Pod, registry: NpmRegistry, name: str) -> None:
    registry.add("trap", "1.0.0", manifest=MANIFESTS[name])
    steps = [{"name": "sh", "command": ["sh", "-c", "echo fine; ls; env | cat"]}]
    guarded.plan(
        packages={"runtime": "nodejs", "requirements": ["trap@1.0.0"]}, index={"npmRegistry": registry.url}, setup=steps
    )

    outcome = guarded.run()

    assert "Traceback" not in outcome.stderr
    assert_unharmed(guarded, outcome)


@pytest.mark.parametrize("name", TARBALLS)
def test_a_hostile_tarball_reaches_nothing(guarded: Pod, registry: NpmRegistry, name: str) -> None:
    registry.add_tarball("trap", "1.0.0", tarball("trap", **TARBALLS[name]))
    guarded.plan(packages={"runtime": "nodejs", "requirements": ["trap@1.0.0"]}, index={"npmRegistry": registry.url})

    outcome = guarded.run()

    assert "Traceback" not in outcome.stderr
    assert_unharmed(guarded, outcome)


# Repositories

FILES = {
    "filters": {".gitattributes": "* filter=evil\n", ".gitconfig": '[filter "evil"]\n smudge = touch sprung\n'},
    "hooks": {
        "hooks/post-checkout": "#!/bin/sh\ntouch sprung\n",
        ".githooks/post-checkout": "#!/bin/sh\ntouch sprung\n",
    },
    "large_file_server": {".lfsconfig": "[lfs]\n url = http://127.0.0.1:9/\n", ".gitattributes": "* filter=lfs\n"},
    "own_repository": {"x/HEAD": "ref: refs/heads/main\n", "x/config": "[core]\n fsmonitor = touch sprung\n"},
}
SUBMODULES = {
    "command": "ext::sh -c touch% sprung",
    "folder": "/etc/agentberth",
    "file_url": "file:///etc/agentberth",
    "option": "-u./sprung",
    "relative": "../../../../etc/agentberth",
    "another_host": "http://localhost:9/x.git",
    "metadata": "http://169.254.169.254/x.git",
}
LINKS = {
    "password": "/etc/agentberth/git/password",
    "parent": "../../etc/agentberth/git/password",
    "process": "/proc/self/environ",
    "folder": "/etc",
    "device": "/dev/zero",
}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repositories" / "agent")


@pytest.fixture
def server(tmp_path: Path, repository: Repository) -> Iterator[GitServer]:
    with GitServer(tmp_path / "repositories") as running:
        yield running


def fetch(pod: Pod, url: str, revision: str = "main", **more: Any) -> Outcome:
    pod.plan(
        code={"kind": "git", "repository": url, "revision": revision, "credentials": "/etc/agentberth/git", **more}
    )
    outcome = pod.run()
    assert "Traceback" not in outcome.stderr
    return outcome


@pytest.mark.parametrize("name", FILES)
def test_no_setting_of_a_repository_runs(guarded: Pod, repository: Repository, server: GitServer, name: str) -> None:
    for path, text in FILES[name].items():
        place = repository.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o755)
    repository.commit(main_py="x")

    outcome = fetch(guarded, server.url("agent"))

    outcome.prepared()
    assert_unharmed(guarded, outcome)


@pytest.mark.parametrize("name", SUBMODULES)
def test_no_submodule_leads_elsewhere(guarded: Pod, repository: Repository, server: GitServer, name: str) -> None:
    entry = f'[submodule "lib"]\n\tpath = lib\n\turl = {SUBMODULES[name]}\n\tupdate = !touch sprung\n'
    commit = repository.commit(main_py="x")
    (repository.folder / ".gitmodules").write_text(entry)
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    repository.git("add", ".gitmodules")
    repository.git("commit", "--quiet", "--message=trap")

    outcome = fetch(guarded, server.url("agent"), submodules=True)

    assert outcome.code == 1
    assert_unharmed(guarded, outcome)


@pytest.mark.parametrize("name", LINKS)
def test_no_link_leads_out_of_a_repository(guarded: Pod, repository: Repository, server: GitServer, name: str) -> None:
    (repository.folder / "link").symlink_to(LINKS[name])
    repository.commit(main_py="x")

    outcome = fetch(guarded, server.url("agent"))

    outcome.error(InitFault.PATH_ESCAPES)
    assert_unharmed(guarded, outcome)


@pytest.mark.parametrize(
    "url,revision",
    [
        ("ext::sh -c touch% sprung", "main"),
        ("--upload-pack=touch sprung", "main"),
        ("ssh://-oProxyCommand=touch sprung/x", "main"),
        ("-oProxyCommand=touch:x", "main"),
        ("fd::7/x", "main"),
        ("/etc/agentberth/git", "--upload-pack=touch sprung"),
        ("/etc/agentberth/git", "main:refs/heads/x"),
        ("/etc/agentberth/git", "@{-1}"),
    ],
)
def test_no_address_or_revision_is_a_command(guarded: Pod, url: str, revision: str) -> None:
    outcome = fetch(guarded, url, revision)

    assert outcome.code != 0
    assert_unharmed(guarded, outcome)


# Folders


def test_a_link_that_is_swapped_in_time_shows_nothing(guarded: Pod) -> None:
    """Whoever else writes to a claim exchanges a file for a link to a Secret, again and again, while it is copied."""
    for number in range(150):
        guarded.mount(f"code/f{number}.py", "x")
    folder = guarded.root / "etc/agentberth/code"
    target, stop = guarded.root / "etc/agentberth/git/password", threading.Event()

    def swap() -> None:
        number = 0
        while not stop.is_set():
            path = folder / f"f{number % 150}.py"
            link = folder / f"..link{number}"
            link.symlink_to(target)
            link.replace(path)
            path.unlink()
            path.write_text("x")
            number += 1

    guarded.plan(code={"kind": "local", "folder": "/etc/agentberth/code"})
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        outcomes = [guarded.run() for _ in range(4)]
    finally:
        stop.set()
        swapper.join()

    for outcome in outcomes:
        assert "Traceback" not in outcome.stderr
    assert_unharmed(guarded, outcomes[-1])


@pytest.mark.parametrize("kind", ["fifo", "socket_folder", "link_to_itself", "link_to_a_secret", "link_to_the_root"])
def test_nothing_but_files_is_taken_from_a_folder(guarded: Pod, kind: str) -> None:
    guarded.mount("code/main.py", "x")
    odd = guarded.root / "etc/agentberth/code/odd"
    if kind == "fifo":
        os.mkfifo(odd)
    elif kind == "socket_folder":
        odd.mkdir()
        os.mknod(odd / "s", stat.S_IFSOCK | 0o666)
    else:
        odd.symlink_to({"link_to_itself": "odd", "link_to_a_secret": "../git/password", "link_to_the_root": "/"}[kind])
    guarded.plan(code={"kind": "local", "folder": "/etc/agentberth/code"})

    outcome = guarded.run()

    assert "Traceback" not in outcome.stderr
    assert_unharmed(guarded, outcome)


# What programs of preparation are given


@pytest.mark.parametrize("program", ["git", "uv", "npm"])
def test_no_secret_is_in_the_arguments_or_the_environment_of_a_program(
    guarded: Pod, tmp_path: Path, program: str
) -> None:
    spy = tmp_path / "spies" / program
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\n(env; echo "$@") >> {guarded.root}/tmp/seen\nexit 1\n')
    spy.chmod(0o755)
    guarded.show(spy.parent)
    guarded.env = {"PATH": f"{spy.parent}:{os.environ['PATH']}", "CANARY": SECRET}
    kinds: dict[str, dict[str, Any]] = {
        "git": {
            "code": {
                "kind": "git",
                "repository": "http://127.0.0.1:9/x.git",
                "revision": "main",
                "credentials": "/etc/agentberth/git",
            }
        },
        "uv": {"packages": {"runtime": "python", "requirements": ["x"]}, "index": {"pythonUrl": "http://127.0.0.1:9/"}},
        "npm": {
            "packages": {"runtime": "nodejs", "requirements": ["x"]},
            "index": {"npmRegistry": "http://127.0.0.1:9/"},
        },
    }
    guarded.plan(**kinds[program])

    outcome = guarded.run("--phase", "prepare")

    assert outcome.code == 1
    seen = (guarded.root / "tmp/seen").read_text()
    assert "PATH=" in seen
    assert SECRET not in seen
