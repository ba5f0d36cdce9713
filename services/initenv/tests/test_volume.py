import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent_initenv.errors import StepError
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
        def stop_or_go(*arguments: object, **options: object) -> object:
            nonlocal changes
            if changes == moment:
                raise KeyboardInterrupt
            changes += 1
            return change(*arguments, **options)

        return stop_or_go

    staged = volume.stage("code")
    (staged / "main.py").write_text("two")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(os, "replace", counted(os.replace))
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
