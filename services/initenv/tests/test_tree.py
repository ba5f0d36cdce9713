from pathlib import Path

import pytest

from agent_api.initreport import InitFault
from agent_initenv.errors import StepError
from agent_initenv.tree import is_inside, normalise_modes, remove


def test_trees_get_readable_modes_and_are_measured(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True, mode=0o700)
    (tree / "sub/file").write_bytes(b"12345")
    (tree / "sub/file").chmod(0o600)
    (tree / "link").symlink_to("sub/file")
    (tree / "dangling").symlink_to("nothing")
    assert normalise_modes(tree) == 5
    assert (tree / "sub").stat().st_mode & 0o777 == 0o755
    assert (tree / "sub/file").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("target", ["/etc", "..", "sub/../../x", "/"])
def test_a_link_out_of_the_tree(tmp_path: Path, target: str) -> None:
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "link").symlink_to(target)
    with pytest.raises(StepError) as caught:
        normalise_modes(tree)
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
