import subprocess
import sys
from pathlib import Path

import pytest
from contract.initenv.harness import Pod

from agent_api.initreport import InitFault


def test_content_and_copies(pod: Pod) -> None:
    source = pod.mount("files/settings/app.toml", "a = 1\n")
    pod.plan(
        files=[
            {"path": "/shared/deep/er/text.txt", "content": "grüße\n"},
            {"path": "/shared/app.toml", "source": source},
            {"path": "/shared/bin/tool", "content": "#!/bin/sh\n"},
            {"path": "/shared/empty", "content": ""},
        ]
    )
    pod.run().prepared()
    assert (pod.shared / "deep/er/text.txt").read_text() == "grüße\n"
    assert (pod.shared / "app.toml").read_text() == "a = 1\n"
    modes = {place: mode for place, (mode, _) in pod.tree().items()}
    assert modes == {
        "app.toml": "-rw-r--r--",
        "bin": "drwxr-xr-x",
        "bin/tool": "-rwxr-xr-x",
        "deep": "drwxr-xr-x",
        "deep/er": "drwxr-xr-x",
        "deep/er/text.txt": "-rw-r--r--",
        "empty": "-rw-r--r--",
    }


def test_a_config_map_is_read_through_its_links(pod: Pod) -> None:
    pod.mount("files/settings/..2026_01_01/app.toml", "a = 1\n")
    mounted = pod.root / "etc/agentberth/files/settings"
    (mounted / "..data").symlink_to("..2026_01_01")
    (mounted / "app.toml").symlink_to("..data/app.toml")
    pod.plan(files=[{"path": "/shared/app.toml", "source": "/etc/agentberth/files/settings/app.toml"}])
    pod.run().prepared()
    copied = pod.shared / "app.toml"
    assert not copied.is_symlink()
    assert copied.read_text() == "a = 1\n"
    pod.mount("files/settings/..2026_01_01/app.toml", "a = 2\n")
    assert pod.run().step("files") == "done"
    assert copied.read_text() == "a = 2\n"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/shared/../etc/passwd", "relative", "/shared", "/shared/", "/sharedx/a", "/shared/a/../../b"],
)
def test_a_path_that_leaves_the_volume(pod: Pod, path: str) -> None:
    pod.plan(files=[{"path": "/shared/fine", "content": ""}, {"path": path, "content": "x"}])
    error = pod.run().error(InitFault.PATH_ESCAPES)
    assert error.step == "files"
    assert repr(path) in error.cause
    assert pod.tree() == {}


@pytest.mark.parametrize("link", ["out", "out/deeper"])
def test_a_link_planted_in_the_volume_is_not_followed(pod: Pod, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    (outside / "deeper").mkdir(parents=True)
    pod.shared.mkdir()
    (pod.shared / "out").symlink_to(outside)
    pod.plan(files=[{"path": f"/shared/{link}/file", "content": "x"}])
    pod.run().error(InitFault.PATH_ESCAPES)
    assert [path.name for path in outside.iterdir()] == ["deeper"]
    assert list((outside / "deeper").iterdir()) == []


def test_a_link_in_the_place_of_the_file_is_replaced(pod: Pod, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    pod.shared.mkdir()
    (pod.shared / "file").symlink_to(outside)
    pod.plan(files=[{"path": "/shared/file", "content": "x"}])
    pod.run().prepared()
    assert outside.read_text() == "untouched"
    assert (pod.shared / "file").read_text() == "x"


@pytest.mark.parametrize("folder", ["sdk/python", "glue", ".agentberth", "code"])
def test_folders_of_other_steps_are_theirs(pod: Pod, folder: str) -> None:
    pod.mount("code/main.py", "")
    code = {"kind": "local", "folder": "/etc/agentberth/code"}
    pod.plan(files=[{"path": f"/shared/{folder}/file", "content": "x"}], code=code)
    assert folder in pod.run().error(InitFault.PLAN_INVALID).cause
    assert pod.tree() == {}


def test_without_code_its_folder_is_free(pod: Pod) -> None:
    pod.plan(files=[{"path": "/shared/code/main.py", "content": "print(1)"}])
    pod.run().prepared()
    assert subprocess.run([sys.executable, pod.shared / "code/main.py"], check=True, capture_output=True).stdout


@pytest.mark.parametrize("source", ["/etc/agentberth/files/none/key", "/etc/agentberth/init"])
def test_a_source_that_is_no_file(pod: Pod, source: str) -> None:
    pod.plan(files=[{"path": "/shared/file", "source": source}])
    assert source in pod.run().error(InitFault.FILE_MISSING).cause


def test_a_folder_in_the_place_of_the_file(pod: Pod) -> None:
    (pod.shared / "file").mkdir(parents=True)
    pod.plan(files=[{"path": "/shared/file", "content": "x"}])
    assert "/shared/file" in pod.run().error(InitFault.PLAN_INVALID).cause


def test_a_change_is_written_and_what_is_gone_removed(pod: Pod) -> None:
    pod.plan(files=[{"path": "/shared/a/one", "content": "1"}, {"path": "/shared/two", "content": "2"}])
    pod.run().prepared()
    assert pod.run().step("files") == "unchanged"
    pod.plan(files=[{"path": "/shared/two", "content": "changed"}])
    assert pod.run().step("files") == "done"
    assert not (pod.shared / "a/one").exists()
    assert (pod.shared / "two").read_text() == "changed"


def test_a_file_that_was_removed_is_written_again(pod: Pod) -> None:
    pod.plan(files=[{"path": "/shared/two", "content": "2"}])
    pod.run().prepared()
    (pod.shared / "two").unlink()
    assert pod.run().step("files") == "done"
    assert (pod.shared / "two").read_text() == "2"


def test_removing_goes_through_no_link(pod: Pod, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "one").write_text("untouched")
    pod.plan(files=[{"path": "/shared/a/one", "content": "1"}])
    pod.run().prepared()
    (pod.shared / "a/one").unlink()
    (pod.shared / "a").rmdir()
    (pod.shared / "a").symlink_to(outside)
    pod.plan()
    pod.run().prepared()
    assert (outside / "one").read_text() == "untouched"
