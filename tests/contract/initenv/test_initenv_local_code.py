import os
from pathlib import Path

import pytest
from contract.initenv.harness import Pod

from agent_api.initreport import InitFault

FOLDER = "/etc/agentberth/code"


@pytest.fixture
def code(pod: Pod) -> Path:
    pod.mount("code/main.py", "print('hi')\n")
    pod.plan(code={"kind": "local", "folder": FOLDER})
    return pod.root / FOLDER.lstrip("/")


def test_the_folder_is_copied_without_what_tools_leave_in_it(pod: Pod, code: Path) -> None:
    for skipped in (".git/config", "__pycache__/x.pyc", "sub/node_modules/x/i.js", ".venv/bin/python", ".agentberth/x"):
        pod.mount(f"code/{skipped}", "x")
    pod.mount("code/sub/run.sh", "#!/bin/sh\n")
    (code / "sub/run.sh").chmod(0o700)
    (code / "main.py").chmod(0o600)
    os.mkfifo(code / "pipe")
    report = pod.run().prepared()
    assert report.steps[0].detail == "2 files"
    assert {place: mode for place, (mode, _) in pod.tree().items()} == {
        "code": "drwxr-xr-x",
        "code/main.py": "-rw-r--r--",
        "code/sub": "drwxr-xr-x",
        "code/sub/run.sh": "-rwxr-xr-x",
    }


def test_only_a_change_is_copied_again(pod: Pod, code: Path) -> None:
    pod.run().prepared()
    assert pod.run().step("code") == "unchanged"
    (code / "main.py").write_text("print('changed')\n")
    assert pod.run().step("code") == "done"
    assert (pod.shared / "code/main.py").read_text() == "print('changed')\n"
    (code / "main.py").rename(code / "other.py")
    assert pod.run().step("code") == "done"
    assert [path.name for path in (pod.shared / "code").iterdir()] == ["other.py"]


def test_a_config_map_volume_becomes_plain_files(pod: Pod, code: Path) -> None:
    (code / "main.py").unlink()
    pod.mount("code/..2026_01_01/main.py", "one")
    pod.mount("code/..2026_01_01/package/inner.py", "two")
    (code / "..data").symlink_to("..2026_01_01")
    (code / "main.py").symlink_to("..data/main.py")
    (code / "package").symlink_to("..data/package")
    pod.run().prepared()
    copied = pod.shared / "code"
    assert sorted(path.name for path in copied.iterdir()) == ["main.py", "package"]
    assert not (copied / "package").is_symlink()
    assert (copied / "main.py").read_text() == "one"
    assert (copied / "package/inner.py").read_text() == "two"


def test_links_inside_are_kept(pod: Pod, code: Path) -> None:
    pod.mount("code/sub/inner.py", "x")
    (code / "sub/up.py").symlink_to("../main.py")
    (code / "whole").symlink_to(code / "sub")
    pod.run().prepared()
    assert (pod.shared / "code/sub/up.py").readlink() == Path("../main.py")
    assert (pod.shared / "code/whole").readlink() == Path("sub")


def test_a_link_that_leaves_is_refused(pod: Pod, code: Path) -> None:
    (code / "out").symlink_to("/etc/passwd")
    assert "out" in pod.run().error(InitFault.PATH_ESCAPES).cause
    assert pod.tree() == {}


def test_a_link_in_a_circle_is_refused(pod: Pod, code: Path) -> None:
    pod.mount("code/..data/inner.py", "x")
    (code / "a").symlink_to("..data")
    (code / "..data/loop").symlink_to(".")
    assert "loop" in pod.run().error(InitFault.PATH_ESCAPES).cause


@pytest.mark.parametrize("folder", ["/etc/agentberth/none", "/etc/agentberth/code/main.py"])
def test_a_folder_that_is_not_there(pod: Pod, code: Path, folder: str) -> None:
    pod.plan(code={"kind": "local", "folder": folder})
    assert folder in pod.run().error(InitFault.CODE_NOT_FOUND).cause
