"""Whatever a hostile program leaves in a folder is removed, with few descriptors, and nothing beside it."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_base.removal import remove_tree

DEEP = 2000


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 128), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def dig(folder: Path, depth: int) -> None:
    """A chain of folders below `folder`, each with a file; its path is longer than the kernel takes."""
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


@pytest.mark.usefixtures("few_descriptors")
def test_a_chain_of_thousands_of_folders(tmp_path: Path) -> None:
    dig(tmp_path / "tree", DEEP)

    remove_tree(tmp_path / "tree")

    assert list(tmp_path.iterdir()) == []


def test_folders_that_may_not_be_read_or_written(tmp_path: Path) -> None:
    inner = tmp_path / "tree" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "file").write_text("x")
    for folder in (inner, inner.parent, tmp_path / "tree"):
        folder.chmod(0)

    remove_tree(tmp_path / "tree")

    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_what_they_lead_to_is_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    dig(tmp_path / "tree", 70)
    (tmp_path / "tree" / "d" / "link").symlink_to(kept)
    (tmp_path / "tree" / "link").symlink_to("/")

    remove_tree(tmp_path / "tree")

    assert (kept / "file").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_pipes_and_sockets_are_removed_and_a_folder_that_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "tree" / "a" / "pipe")

    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")

    assert list(tmp_path.iterdir()) == []
