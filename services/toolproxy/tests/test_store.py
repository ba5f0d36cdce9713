from pathlib import Path

import pytest

from agent_toolproxy.errors import (
    StoreBusy,
)
from agent_toolproxy.store.store import Record, Store


def test_the_store_is_one_proxys(tmp_path: Path) -> None:
    store = Store(tmp_path).open()
    with pytest.raises(StoreBusy, match="another tool proxy"):
        Store(tmp_path).open()
    store.close()
    Store(tmp_path).open().close()


def test_what_is_staged_is_seen_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path).open()
    with store.staging() as staged:
        (staged / "program").write_text("x")
        assert store.folder("d1") is None
        folder = store.commit(staged, "d1")
    with store.staging() as staged:
        (staged / "program").write_text("later")
        assert store.commit(staged, "d1") == folder
    assert (folder / "program").read_text() == "x"
    with pytest.raises(RuntimeError), store.staging() as staged:
        raise RuntimeError
    assert not list((tmp_path / "staging").iterdir())
    record = Record(name="t", key="k", digest="d1", source="s", program="program")
    store.save(record)
    store.link("t", folder / "program")
    assert store.record_of("t") == record
    store.forget_others(["t"])
    assert (tmp_path / "bin/t").read_text() == "x"
    store.forget_others([])
    assert store.record_of("t") is None
    assert not list((tmp_path / "store").iterdir()) + list((tmp_path / "bin").iterdir())
    store.close()
