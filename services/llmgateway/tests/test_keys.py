"""Keys as they are mounted."""

import asyncio
from pathlib import Path

import pytest

from agent_base.redaction import Redactor
from agent_llmgateway.upstream.keys import open_pool, read_keys


def test_keys_are_read_in_order_and_registered_as_secrets() -> None:
    seen: list[str] = []
    files = {"api-key-2": b"key-b\n", "api-key": b"key-a", ".hidden": b"x", "api-key-3": b" \n"}
    keys = read_keys(seen.append, (), files)
    assert [(key.name, key.value) for key in keys] == [("api-key", "key-a"), ("api-key-2", "key-b")]
    assert seen == ["key-a", "key-b"]
    assert "key-a" not in repr(keys)
    for bad in (b"two words", b"line\nbreak", "ümlaut".encode()):
        with pytest.raises(ValueError, match="is not a key"):
            read_keys(seen.append, (), {"api-key": bad})


@pytest.mark.parametrize("unfit", [b"-----BEGIN PRIVATE KEY-----\nMIIB", b"2026-11-29 10:00", b"\xff\xfe\x00"])
def test_a_file_that_is_no_key_takes_no_other_one_away(unfit: bytes, caplog: pytest.LogCaptureFixture) -> None:
    files = {"api-key-1": unfit, "api-key-2": b"\xef\xbb\xbfkey-b\r\n"}
    assert [(key.name, key.value) for key in read_keys(lambda _: None, (), files)] == [("api-key-2", "key-b")]
    assert caplog.messages == ["api-key-1 is not a key and is left alone: it must be one word of ASCII characters"]


def test_what_lies_beside_the_keys_is_no_key() -> None:
    seen: list[str] = []
    files = {
        "api-key": b"key",
        "ca.crt": b"-----BEGIN CERTIFICATE-----\nMIIB",
        "organization": b"org-1",
        "note": b"a b",
    }
    assert [key.name for key in read_keys(seen.append, (), files)] == ["api-key"]
    assert [key.name for key in read_keys(seen.append, ("organization", "gone"), files)] == ["organization"]
    assert seen == ["key", "org-1"]


def test_a_pool_takes_turns_and_sees_a_new_key(tmp_path: Path) -> None:
    async def use() -> None:
        (tmp_path / "api-key-1").write_text("first-key")
        pool = open_pool(str(tmp_path), needs_key=True, register=Redactor().add, interval_s=60)
        assert pool.keys == ()
        await pool.refresh()
        (tmp_path / "api-key-2").write_text("second-key")
        await pool.refresh()
        turns = [pool.in_turn()[0].name for _ in range(4)]
        assert turns in (["api-key-1", "api-key-2"] * 2, ["api-key-2", "api-key-1"] * 2)

    asyncio.run(use())
    assert open_pool(None, needs_key=True, register=Redactor().add, interval_s=1).keys == ()
    assert [key.value for key in open_pool(None, needs_key=False, register=Redactor().add, interval_s=1).keys] == [None]
