import io
import os
import stat
import threading
from pathlib import Path

import pytest

from agent_base.atomicfile import write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_content_and_the_mode_are_those_that_were_given(tmp_path: Path) -> None:
    path = tmp_path / "file"
    os.umask(0o077)
    assert write_atomically(path, b"content", mode=0o755) == 7
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"content", 0o755)


def test_a_stream_is_copied(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", io.BytesIO(b"streamed"))
    assert (tmp_path / "file").read_bytes() == b"streamed"


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = {letter * 200_000 for letter in (b"a", b"b")}
    write_atomically(path, b"a" * 200_000)
    ended = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not ended.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        for content in contents:
            write_atomically(path, content)
    ended.set()
    reader.join()
    assert seen <= contents


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "file").symlink_to("victim")
    write_atomically(tmp_path / "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_folder_is_held_by_its_descriptor(tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    folder = os.open(tmp_path / "held", os.O_RDONLY)
    (tmp_path / "held").rename(tmp_path / "moved")
    write_atomically(Path("file"), b"x", folder=folder)
    os.close(folder)
    assert (tmp_path / "moved" / "file").read_bytes() == b"x"
    assert names(tmp_path / "moved") == ["file"]


class BrokenStream(io.BytesIO):
    def read(self, _: int | None = -1, /) -> bytes:
        raise OSError("the disk is gone")


@pytest.mark.parametrize("apart", [True, False])
def test_a_failure_leaves_the_old_file_and_no_draft(tmp_path: Path, apart: bool) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(OSError, match="gone"):
        write_atomically(tmp_path / "file", BrokenStream(), staging=staging if apart else None)
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file", "staging"]
    assert names(staging) == []
