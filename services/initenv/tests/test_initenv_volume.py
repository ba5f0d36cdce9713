import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_api.initreport import InitFault
from agent_initenv.bench import child_environment, make_private_folder
from agent_initenv.effort import SystemClock
from agent_initenv.errors import StepError
from agent_initenv.process import OUTPUT_KEPT_BYTES, Programs
from agent_initenv.pythonpackages import free_scripts
from agent_initenv.tree import is_inside, remove, settle
from agent_initenv.volume import Stamp, Volume


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    volume = Volume(str(tmp_path))
    os.close(volume.open())
    return volume


def publish(volume: Volume, content: str) -> None:
    staged = volume.stage("code")
    (staged / "main.py").write_text(content)
    volume.publish("code", staged, volume.shared / "code", Stamp(content))


def test_a_result_replaces_the_one_before(volume: Volume) -> None:
    publish(volume, "one")
    publish(volume, "two")
    assert (volume.shared / "code/main.py").read_text() == "two"
    assert volume.read_stamp("code") == Stamp("two")
    assert list(volume.shared.glob(".agentberth/staging/*")) == []


@pytest.mark.parametrize("moment", range(4))
def test_stopped_between_any_two_changes_nothing_half_made_is_trusted(
    volume: Volume, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """The swap is a few renames and removals; after each of them the disk is looked at."""
    publish(volume, "one")
    changes = 0

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def stop_or_go(self: Path, *arguments: object, **options: object) -> object:
            nonlocal changes
            if changes == moment:
                raise KeyboardInterrupt
            changes += 1
            return change(self, *arguments, **options)

        return stop_or_go

    staged = volume.stage("code")
    (staged / "main.py").write_text("two")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            volume.publish("code", staged, volume.shared / "code", Stamp("two"))
    stamp = volume.read_stamp("code")
    assert stamp is None or (volume.shared / "code/main.py").read_text() == stamp.fingerprint
    os.close(volume.open())
    publish(volume, "three")
    assert (volume.shared / "code/main.py").read_text() == "three"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fingerprint": "x"}', '{"other": 1, "paths": []}'])
def test_a_stamp_that_cannot_be_read_is_none(volume: Volume, content: str) -> None:
    (volume.shared / ".agentberth/stamps/code.json").write_text(content)
    assert volume.read_stamp("code") is None


def test_what_has_no_stamp_is_not_forgotten(volume: Volume) -> None:
    (volume.shared / "code").mkdir()
    volume.forget("code", volume.shared / "code")
    assert (volume.shared / "code").is_dir()
    publish(volume, "one")
    volume.forget("code", volume.shared / "code")
    assert not (volume.shared / "code").exists()
    assert volume.read_stamp("code") is None


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    volume = Volume(str(tmp_path))
    lock = volume.open()
    with pytest.raises(StepError, match="Another agent-initenv"):
        volume.open()
    os.close(lock)
    os.close(volume.open())


def test_trees_get_readable_modes_and_are_measured(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True, mode=0o700)
    (tree / "sub/file").write_bytes(b"12345")
    (tree / "sub/file").chmod(0o600)
    (tree / "link").symlink_to("sub/file")
    (tree / "dangling").symlink_to("nothing")
    assert settle(tree) == 5
    assert (tree / "sub").stat().st_mode & 0o777 == 0o755
    assert (tree / "sub/file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("target", ["/etc", "..", "sub/../../x", "/"])
def test_a_link_out_of_the_tree(tmp_path: Path, target: str) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "link").symlink_to(target)
    with pytest.raises(StepError) as caught:
        settle(tree)
    assert caught.value.fault == InitFault.PATH_ESCAPES


def test_is_inside() -> None:
    assert is_inside("/a/b", "/a")
    assert is_inside("/a", "/a")
    assert is_inside("/a", "/")
    assert not is_inside("/ab", "/a")


def test_remove_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "link")
    remove(tmp_path / "nothing")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_private_folder_of_a_killed_run_is_removed(tmp_path: Path, volume: Volume) -> None:
    first = make_private_folder(tmp_path / "tmp", volume)
    other = make_private_folder(tmp_path / "tmp", Volume(str(tmp_path / "another")))
    (first / "secret").write_text("canary")
    second = make_private_folder(tmp_path / "tmp", volume)
    assert not first.exists()
    assert other.exists()
    assert second.stat().st_mode & 0o777 == 0o700


def test_the_environment_of_children(tmp_path: Path) -> None:
    env = child_environment({"CANARY": "x", "https_proxy": "http://p", "NO_PROXY": ""}, tmp_path)
    assert set(env) == {"PATH", "https_proxy", "HOME", "TMPDIR", "LC_ALL"}


class TestPrograms:
    @pytest.fixture
    def programs(self) -> Programs:
        return Programs(os.environ["PATH"], SystemClock())

    def run(self, programs: Programs, code: str, tmp_path: Path, timeout_s: float = 20) -> tuple[int, str, list[str]]:
        lines: list[str] = []
        command = [sys.executable, "-c", code]
        finished = programs.run(command, env={}, cwd=tmp_path, timeout_s=timeout_s, echo=lines.append)
        return finished.code, finished.output, lines

    def test_both_outputs_come_in_order(self, programs: Programs, tmp_path: Path) -> None:
        code = "import sys; print('a', flush=True); print('b', file=sys.stderr, flush=True)"
        code += "; print('c', end=''); sys.exit(3)"
        assert self.run(programs, code, tmp_path) == (3, "a\nb\nc", ["a", "b", "c"])

    def test_only_the_tail_of_a_flood_is_kept(self, programs: Programs, tmp_path: Path) -> None:
        code = "print('x' * 1_000_000); print('the end')"
        exit_code, output, lines = self.run(programs, code, tmp_path)
        assert exit_code == 0
        assert len(output) == OUTPUT_KEPT_BYTES
        assert output.endswith("the end\n")
        assert max(map(len, lines)) < 100_000
        assert sum(map(len, lines)) == 1_000_000 + len("the end")

    def test_a_closed_output_is_not_the_end(self, programs: Programs, tmp_path: Path) -> None:
        code = "import os, time; os.close(1); os.close(2); time.sleep(0.3); open('late', 'w').close()"
        assert self.run(programs, code, tmp_path)[0] == 0
        assert (tmp_path / "late").exists()

    def test_a_closed_output_does_not_outwit_the_limit(self, programs: Programs, tmp_path: Path) -> None:
        code = "import os, time; os.close(1); os.close(2); time.sleep(60)"
        with pytest.raises(StepError) as caught:
            self.run(programs, code, tmp_path, timeout_s=0.5)
        assert caught.value.fault == InitFault.TIMED_OUT

    def test_nothing_is_inherited(self, programs: Programs, tmp_path: Path) -> None:
        code = "import os, sys; print(sorted(set(os.environ) - {'LC_CTYPE'}), sys.stdin.read())"
        assert self.run(programs, code, tmp_path)[1] == "[] \n"


def test_shebangs_of_scripts(tmp_path: Path) -> None:
    scripts = {
        "short": b"#!/init/bin/python3.13\nimport x\n",
        "long": b"#!/bin/sh\n'''exec' \"/very long/python\" \"$0\" \"$@\"\n' '''\nimport x\n",
        "shell": b"#!/bin/sh\necho\n",
        "binary": b"\x7fELF",
    }
    for name, content in scripts.items():
        (tmp_path / name).write_bytes(content)
    free_scripts(tmp_path)
    freed = b"#!/usr/bin/env python3\nimport x\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {**scripts, "short": freed, "long": freed}
    free_scripts(tmp_path / "nothing")
    assert subprocess.run(["sh", tmp_path / "shell"], check=True, capture_output=True).stdout == b"\n"
