"""The file that remembers what was spent."""

import asyncio
from pathlib import Path

import pytest

from agent_llmgateway.budget.ledger import FileLedger

NOW = 1_800_000_000.0


def test_a_new_window_begins_with_nothing_spent(tmp_path: Path) -> None:
    now = [NOW]

    async def use() -> None:
        ledger = FileLedger(tmp_path / "b.json", lambda: now[0])
        await ledger.add(100, 5)
        await ledger.close()
        again = FileLedger(tmp_path / "b.json", lambda: now[0])
        assert (await again.read()).tokens == 100
        now[0] += 3600
        assert ((await again.read()).tokens, (await again.read()).micro_usd) == (0, 5)
        now[0] += 86_400
        assert (await again.read()).micro_usd == 0

    asyncio.run(use())


def test_a_damaged_count_starts_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "b.json"
    path.write_text("{broken")

    async def read() -> int:
        return (await FileLedger(path, lambda: NOW).read()).tokens

    assert asyncio.run(read()) == 0
    assert "cannot be read" in caplog.text


async def test_a_count_that_is_written_twice_at_once_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger = FileLedger(tmp_path / "b.json", lambda: NOW)
    writing = asyncio.create_task(ledger.run())
    for _ in range(50):
        await ledger.add(1, 1)
        await asyncio.gather(*(ledger.close() for _ in range(8)))
    writing.cancel()
    await ledger.close()

    assert caplog.text == ""
    assert (await FileLedger(tmp_path / "b.json", lambda: NOW).read()).tokens == 50
