import shutil
from pathlib import Path

import pytest

from agent_toolproxy.process.secretfiles import FOLDER, SecretFiles


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_files_are_for_their_owner_alone_and_change_as_a_whole(home: Path) -> None:
    files = SecretFiles(home)
    files.write({"key": "old"})
    with Path(files.path("key")).open() as held:
        files.write({"key": "new"})
        assert held.read() == "old"

    assert Path(files.path("key")).read_text() == "new"
    assert Path(files.path("key")).stat().st_mode & 0o777 == 0o600
    assert [each.name for each in (home / FOLDER).iterdir()] == ["key"]
    files.close()


def test_links_that_the_program_plants_lead_nowhere(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "key").write_text("untouched")
    files = SecretFiles(home)
    files.write({"key": "old"})
    Path(files.path("key")).unlink()
    Path(files.path("key")).symlink_to(outside / "key")

    files.write({"key": "new"})

    assert (outside / "key").read_text() == "untouched"
    shutil.move(home / FOLDER, tmp_path / "moved")
    (home / FOLDER).symlink_to(outside)
    files.write({"key": "newer", "other": "value"})
    assert (outside / "key").read_text() == "untouched"
    assert [each.name for each in outside.iterdir()] == ["key"]
    files.close()


def test_a_folder_that_is_there_already_is_refused(home: Path, tmp_path: Path) -> None:
    (home / FOLDER).symlink_to(tmp_path)

    with pytest.raises(FileExistsError):
        SecretFiles(home)
