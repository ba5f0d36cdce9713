import os
from pathlib import Path

import pytest

from agent_api.initreport import InitFault
from agent_initenv.code.localcode import copy, find
from agent_initenv.errors import StepError


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/main.py").write_text("c4nary")
    (tmp_path / "staged").mkdir()
    code = tmp_path / "code"
    (code / "sub/inner").mkdir(parents=True)
    for place in ("main.py", "sub/main.py", "sub/inner/main.py"):
        (code / place).write_text("x")
    return code


def swap(path: Path, target: Path) -> None:
    path.rename(path.with_name("moved-away"))
    path.symlink_to(target)


@pytest.mark.parametrize(
    "place,target",
    [
        ("main.py", "secret/main.py"),
        ("sub", "secret"),
        ("sub/inner", "secret"),
        ("sub/main.py", "secret/main.py"),
        ("sub/inner", "code"),
    ],
)
def test_a_link_that_is_swapped_in_after_the_look_leads_nowhere(code: Path, place: str, target: str) -> None:
    found = list(find(code))
    swap(code / place, code.parent / target)
    with pytest.raises(StepError) as caught:
        copy(code, found, code.parent / "staged", lambda: None)
    assert caught.value.fault == InitFault.PATH_ESCAPES
    copied = [path.read_text() for path in (code.parent / "staged").rglob("*") if path.is_file()]
    assert "c4nary" not in copied


def test_a_folder_that_becomes_a_link_during_the_look_is_not_entered(code: Path) -> None:
    looking = find(code)
    seen = [next(looking), next(looking)]
    assert [one.place for one in seen] == ["main.py", "sub"]
    swap(code / "sub", code.parent / "secret")
    with pytest.raises(StepError, match="became another thing"):
        list(looking)


def test_a_pipe_in_the_place_of_a_file_does_not_hold_up(code: Path) -> None:
    found = list(find(code))
    (code / "main.py").unlink()
    os.mkfifo(code / "main.py")
    with pytest.raises(StepError, match="became another thing"):
        copy(code, found, code.parent / "staged", lambda: None)
