import hashlib
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent_api.toolslock import LockedTool, PinnedDefinition
from agent_toolproxy.store.lockfile import LockFile


@pytest.fixture
def lock(tmp_path: Path) -> LockFile:
    return LockFile(tmp_path / "own", tmp_path / "workspace")


def locked(sha256: str, version: str = "1") -> LockedTool:
    return LockedTool(version=version, source="s", platform="p", sha256=sha256)


def test_lists_of_packages_must_be_what_their_name_says(lock: LockFile, tmp_path: Path) -> None:
    content = "a==1 --hash=sha256:0\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    lock.set_tool("t", locked(digest), content)
    assert lock.packages(digest) == content
    (tmp_path / "own/tools.lock.d" / digest).unlink()
    assert lock.packages(digest) == content
    (tmp_path / "workspace/tools.lock.d" / digest).write_text("evil==1")
    assert lock.packages(digest) is None
    assert lock.packages("../../etc/passwd") is None


def test_lock_files_are_written_for_people(lock: LockFile, tmp_path: Path) -> None:
    lock.set_tool("t", locked("a" * 64))
    text = (tmp_path / "workspace/tools.lock.json").read_text()
    assert json.loads(text)["tools"]["t"]["sha256"] == "a" * 64
    assert text.startswith("{\n  ")


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_pins_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    lock = LockFile(tmp_path / "own", tmp_path / "workspace")
    names = [f"t{number}" for number in range(60)]

    def pin(name: str) -> None:
        lock.set_tool(name, LockedTool(sha256="a" * 64))
        lock.set_definitions({name: PinnedDefinition(hash="b" * 64)})

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(pin, names))

    for folder in ("own", "workspace"):
        kept = json.loads((tmp_path / folder / "tools.lock.json").read_text())
        assert set(kept["tools"]) == set(kept["definitions"]) == set(names)
