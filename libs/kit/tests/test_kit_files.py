import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agent_api.model import Config
from agent_kit.errors import WatchError
from agent_kit.files import WatchedFile, WatchedFolder

QUICK_S = 0.01


class Example(Config):
    name: str
    size: int = 1


class Volume:
    """A mounted ConfigMap or Secret, updated as the kubelet's atomic writer does it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._numbers = count()
        path.mkdir()

    def write(self, files: Mapping[str, str]) -> None:
        old = self.path / (self.path / "..data").readlink() if (self.path / "..data").is_symlink() else None
        new = self.path / f"..2026_01_01_00_00_{next(self._numbers)}"
        new.mkdir()
        for name, text in files.items():
            (new / name).write_text(text)
        (self.path / "..data_tmp").symlink_to(new.name)
        (self.path / "..data_tmp").rename(self.path / "..data")
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        for link in self.path.iterdir():
            if not link.name.startswith("..") and link.name not in files:
                link.unlink()
        if old is not None:
            shutil.rmtree(old)


async def swap(volume: Volume, **files: str) -> None:
    await asyncio.to_thread(volume.write, {name.replace("_", "."): text for name, text in files.items()})


async def write(path: Path, text: str) -> None:
    await asyncio.to_thread(path.write_text, text)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "volume")


@asynccontextmanager
async def running(*watches: WatchedFile[Any] | WatchedFolder[Any]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(watch.run()) for watch in watches]
    try:
        async with asyncio.timeout(20):
            yield
        assert not [task for task in tasks if task.done()], "a watch ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the world is watched, nothing in it announces itself
            await asyncio.sleep(QUICK_S)


async def until_error(watch: WatchedFile[Any] | WatchedFolder[Any], words: str) -> None:
    await until(lambda: words in str(watch.error))


async def test_a_swap_brings_the_new_value(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"a.json": '{"name": "one"}'})
    watch = WatchedFile(volume.path / "a.json", Example.model_validate_json, interval_s=QUICK_S)
    assert watch.check() == f"{watch.path} has not been read yet"
    async with running(watch):
        changes = watch.changes()
        assert (await anext(changes)).name == "one"
        for name in ("two", "three"):
            await swap(volume, a_json=json.dumps({"name": name}))
            assert (await anext(changes)).name == name
        assert watch.value == Example(name="three")
        assert watch.error is None
        assert watch.check() is None


async def test_bad_content_keeps_the_last_good_value_and_says_why(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"a.json": '{"name": "good"}'})
    watch = WatchedFile(volume.path / "a.json", Example.model_validate_json, interval_s=QUICK_S)
    async with running(watch):
        await watch.first()
        await swap(volume, a_json='{"name": 5, "size": "c4nary", "other": "c4nary"}')
        await until_error(watch, "is not valid: name: Input should be a valid string; size: ")
        assert "c4nary" not in str(watch.error)
        assert watch.value == Example(name="good")
        assert watch.check() is None
        await swap(volume, a_json='{"name": "better"}')
        assert await anext(watch.changes()) in (Example(name="good"), Example(name="better"))
        await until(lambda: watch.error is None)
        assert watch.value == Example(name="better")


async def test_good_content_that_comes_back_is_no_change_but_ends_the_error(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"a": "1"})
    watch = WatchedFile(volume.path / "a", int)
    assert await watch.refresh()
    await swap(volume, a="x")
    assert not await watch.refresh()
    assert isinstance(watch.error, WatchError)
    await swap(volume, a="1")
    assert not await watch.refresh()
    assert watch.error is None


async def test_a_missing_file_is_waited_for(tmp_path: Path) -> None:
    watch = WatchedFile(tmp_path / "later" / "a", bytes.decode, interval_s=QUICK_S)
    async with running(watch):
        await until_error(watch, "does not exist")
        assert watch.value is None
        assert watch.check() == f"{watch.path} does not exist"
        waiting = asyncio.create_task(watch.first())
        await asyncio.to_thread((tmp_path / "later").mkdir)
        await write(watch.path, "here")
        assert await waiting == "here"


async def test_a_file_that_goes_away_leaves_its_value(tmp_path: Path) -> None:
    watch = WatchedFile(tmp_path / "a", bytes.decode, interval_s=QUICK_S)
    await write(watch.path, "value")
    async with running(watch):
        await watch.first()
        await asyncio.to_thread(watch.path.unlink)
        await until_error(watch, "does not exist")
        assert watch.value == "value"


async def test_a_rewrite_of_the_same_size_in_place_is_seen(tmp_path: Path) -> None:
    watch = WatchedFile(tmp_path / "a", bytes.decode, interval_s=QUICK_S)
    await write(watch.path, "0")
    async with running(watch):
        changes = watch.changes()
        for number in range(1, 8):
            await anext(changes)
            await write(watch.path, str(number))
        while watch.value != "7":
            await anext(changes)


async def test_refresh_reads_at_once_and_tells_whether_it_changed(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"key": "old"})
    watch = WatchedFile(volume.path / "key", bytes.decode, interval_s=3600)
    async with running(watch):
        assert await watch.first() == "old"
        await swap(volume, key="new")
        assert await watch.refresh()
        assert watch.value == "new"
        assert not await watch.refresh()


async def test_a_burst_of_refreshes_shares_a_read(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"key": "a"})
    watch = WatchedFile(volume.path / "key", bytes.decode)
    changed = await asyncio.gather(*(watch.refresh() for _ in range(50)))
    assert all(changed)
    assert watch._forced_reads <= 2


async def test_a_refresh_after_a_change_never_gets_an_older_read(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"key": "0"})
    watch = WatchedFile(volume.path / "key", bytes.decode)
    for number in range(20):
        early = asyncio.create_task(watch.refresh())
        await asyncio.sleep(0)
        await swap(volume, key=str(number))
        await watch.refresh()
        assert watch.value == str(number)
        await early


async def test_a_slow_reader_gets_the_newest(volume: Volume) -> None:
    watch = WatchedFile(volume.path / "key", bytes.decode)
    changes = watch.changes()
    for number in range(5):
        await swap(volume, key=str(number))
        await watch.refresh()
    assert await anext(changes) == "4"


async def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    await write(tmp_path / "a", "x" * 101)
    watch = WatchedFile(tmp_path / "a", bytes.decode, size_limit_bytes=100)
    await watch.refresh()
    assert str(watch.error) == f"{watch.path} is larger than 100 bytes"
    await write(tmp_path / "a", "x" * 100)
    assert await watch.refresh()


async def test_what_is_no_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        watch = WatchedFile(path, bytes.decode)
        await watch.refresh()
        assert str(watch.error) == f"{path} is not a file"


async def test_a_path_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    await write(tmp_path / "a", "x")
    watch = WatchedFile(tmp_path / "a" / "below", bytes.decode)
    await watch.refresh()
    assert "cannot be read: Not a directory" in str(watch.error)


async def test_a_parser_that_fails_otherwise_shows_no_content(tmp_path: Path) -> None:
    def parse(content: bytes) -> str:
        raise KeyError(content.decode())

    await write(tmp_path / "a", "c4nary")
    watch = WatchedFile(tmp_path / "a", parse)
    await watch.refresh()
    assert str(watch.error) == f"{watch.path} is not valid: KeyError"


async def test_an_error_is_logged_once_until_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watch = WatchedFile(tmp_path / "a", int)
    for _ in range(3):
        await watch.refresh()
    await write(watch.path, "1")
    for _ in range(3):
        await watch.refresh()
    caplog.set_level("INFO")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{watch.path} does not exist"
    ]


async def test_a_folder_is_one_snapshot(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"key": "k", "url": "u"})
    watch: WatchedFolder[dict[str, bytes]] = WatchedFolder(volume.path, dict, interval_s=QUICK_S)
    async with running(watch):
        changes = watch.changes()
        assert await anext(changes) == {"key": b"k", "url": b"u"}
        await swap(volume, key="k2", other="o")
        assert await anext(changes) == {"key": b"k2", "other": b"o"}


async def test_a_snapshot_never_mixes_two_updates(volume: Volume) -> None:
    def parse(files: Mapping[str, bytes]) -> bytes:
        (one,) = set(files.values())
        return one

    await asyncio.to_thread(volume.write, {"a": "0", "b": "0", "c": "0"})
    watch = WatchedFolder(volume.path, parse, interval_s=0.001)
    async with running(watch):
        await watch.first()
        for number in range(1, 200):
            await swap(volume, a=str(number), b=str(number), c=str(number))
            assert "not valid" not in str(watch.error)
        await until(lambda: watch.value == b"199")


async def test_a_plain_folder_works_too(tmp_path: Path) -> None:
    await write(tmp_path / "key", "k")
    await asyncio.to_thread((tmp_path / "inside").mkdir)
    watch: WatchedFolder[dict[str, bytes]] = WatchedFolder(tmp_path, dict)
    assert await watch.refresh()
    assert watch.value == {"key": b"k"}
    await asyncio.to_thread((tmp_path / "key").unlink)
    assert await watch.refresh()
    assert watch.value == {}


async def test_a_folder_counts_all_its_files_against_the_limit(volume: Volume) -> None:
    await asyncio.to_thread(volume.write, {"a": "x" * 60, "b": "x" * 60})
    watch = WatchedFolder(volume.path, dict, size_limit_bytes=100)
    await watch.refresh()
    assert str(watch.error) == f"{volume.path} is larger than 100 bytes"


async def test_a_missing_folder_is_waited_for(tmp_path: Path) -> None:
    watch = WatchedFolder(tmp_path / "later", dict, interval_s=QUICK_S)
    async with running(watch):
        await until_error(watch, "does not exist")
        await asyncio.to_thread((tmp_path / "later").mkdir)
        assert await watch.first() == {}


async def test_settled_content_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(tmp_path / "a", "x")
    watch = WatchedFile(tmp_path / "a", bytes.decode)
    monkeypatch.setattr("agent_kit.files._SETTLED_NS", 0)
    await asyncio.sleep(QUICK_S)
    assert await watch.refresh()
    assert await asyncio.to_thread(watch._look) is None
