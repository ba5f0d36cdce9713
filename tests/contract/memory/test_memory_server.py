"""The memory's server killed, paused, filled up, its password rotated: what is lost each time, in printed figures."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from contract.memory.served import Served
from contract.memory.waiting import eventually

from agent_api.gatewayconfig import GatewayMemory
from agent_api.memoryreport import MemoryReport
from agent_base.redaction import Redactor
from agent_llmgateway.budget.memory import open_client

FIRST, SECOND, THIRD = "first-Canary_1", "second-Canary_2", "third-Canary_3"
PERSISTENT: dict[str, Any] = {"size": "32Mi", "config": {"persistence": True}}


class Writer:
    """Writes numbers as fast as they are acknowledged, with the time of each, until it is stopped or cut off."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._stop = threading.Event()
        self.acknowledged: dict[int, float] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                self._client.set(f"n{number}", number)
            except redis.RedisError:
                return
            self.acknowledged[number] = time.monotonic()
            number += 1

    def has(self, count: int) -> None:
        eventually(lambda: len(self.acknowledged) >= count, what=lambda: f"{len(self.acknowledged)} writes")

    def end(self) -> None:
        self._stop.set()
        self._thread.join(20)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path, PERSISTENT) as found:
        found.set_password(FIRST)
        yield found


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path, {"size": "8Mi"}) as found:
        found.set_password(FIRST)
        yield found


def test_killed_server_has_all_that_was_acknowledged_more_than_a_second_before(server: Served) -> None:
    writer = Writer(server.start(FIRST))
    writer.has(3000)
    killed = time.monotonic()
    server.end(signal.SIGKILL)
    writer.end()

    began = time.monotonic()
    client = server.start(FIRST)

    back_s = time.monotonic() - began
    lost = [number for number in writer.acknowledged if client.get(f"n{number}") is None]
    print(f"killed: {len(writer.acknowledged)} writes, {len(lost)} lost, back after {back_s:.2f} s")  # noqa: T201 - the figures
    assert [number for number in lost if writer.acknowledged[number] < killed - 1] == []


def test_stopped_server_has_everything(server: Served) -> None:
    writer = Writer(server.start(FIRST))
    writer.has(1000)

    server.end(signal.SIGTERM)
    writer.end()

    client = server.start(FIRST)
    assert [number for number in writer.acknowledged if client.get(f"n{number}") is None] == []


def test_paused_server_loses_nothing_and_goes_on(server: Served) -> None:
    client = server.start(FIRST)
    client.set("held", "fast")

    server.send(signal.SIGSTOP)
    with pytest.raises(redis.TimeoutError):
        client.get("held")
    server.send(signal.SIGCONT)

    eventually(lambda: server.admits(FIRST), what=lambda: "it does not go on")
    assert server.client(FIRST).get("held") == "fast"


def test_full_persistent_memory_refuses_writes_and_keeps_what_it_has(server: Served) -> None:
    client = server.start(FIRST)
    kept = fill(client)

    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("one-more", "x" * 100_000)
    report = MemoryReport.of(client.info(), client.dbsize())
    print(f"full, noeviction: {kept} values of 100 kB held, {report.evicted_keys} evicted")  # noqa: T201 - the figures
    assert report.full
    assert (report.evicted_keys, report.keys, report.max_bytes) == (0, kept, 32 << 20)
    assert all(client.exists(f"v{number}") for number in range(kept))
    client.delete("v0", "v1")
    client.set("one-more", "x")


def fill(client: redis.Redis) -> int:
    """How many values it took until it was refused."""
    for number in range(2000):
        try:
            client.set(f"v{number}", "x" * 100_000)
        except redis.ResponseError:
            return number
    return 2000


def test_full_cache_forgets_the_oldest_and_takes_writes(cache: Served) -> None:
    client = cache.start(FIRST)

    for number in range(300):
        client.set(f"v{number}", "x" * 100_000)

    report = MemoryReport.of(client.info(), client.dbsize())
    print(f"full, allkeys-lru: {report.keys} of 300 held, {report.evicted_keys} evicted")  # noqa: T201 - the figures
    assert not report.full
    assert report.evicted_keys
    assert report.keys == 300 - report.evicted_keys
    assert client.exists("v299")


def test_rotated_password_is_followed_without_a_restart(server: Served) -> None:
    writer = Writer(server.start(FIRST))
    writer.has(100)
    before = len(writer.acknowledged)

    server.set_password(SECOND)
    began = time.monotonic()
    eventually(lambda: server.admits(SECOND), what=(server.root / "log").read_text)
    print(f"rotated: followed after {time.monotonic() - began:.2f} s, the loop looks every 0.2 s here")  # noqa: T201 - the figures

    assert server.admits(FIRST)  # for as long as clients need
    writer.has(before + 500)
    former = server.root / "tmp" / "former"
    eleven_minutes_ago = time.time() - 660
    os.utime(former, (eleven_minutes_ago, eleven_minutes_ago))
    eventually(lambda: not server.admits(FIRST), what=lambda: "the former password is still good")
    assert server.admits(SECOND)
    before = len(writer.acknowledged)
    writer.has(before + 100)  # who was let in stays
    writer.end()
    assert not server.admits("")


def test_password_rotated_twice_leaves_the_first_behind(server: Served) -> None:
    server.start(FIRST)
    for password in (SECOND, THIRD):
        server.set_password(password)
        eventually(partial(server.admits, password), what=lambda: "it does not follow")

    assert [server.admits(each) for each in (FIRST, SECOND, THIRD)] == [False, True, True]


def test_password_is_in_no_file_and_no_argument_of_the_server(server: Served) -> None:
    server.start(FIRST)
    assert server.process is not None

    files = [path for path in server.root.rglob("*") if path.is_file() and path.name != "password"]
    assert [path for path in files if FIRST.encode() in path.read_bytes()] == []
    assert FIRST.encode() not in Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    assert FIRST.encode() not in Path(f"/proc/{server.process.pid}/environ").read_bytes()


def test_probe_user_can_do_nothing_but_ping_and_reload(server: Served) -> None:
    server.start(FIRST)
    probe = redis.Redis(port=server.port, username="probe", password="any", decode_responses=True)

    assert probe.ping()
    for words in (("GET", "a"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",), ("PUBLISH", "a", "b")):
        with pytest.raises(redis.exceptions.NoPermissionError):
            probe.execute_command(*words)  # type: ignore[no-untyped-call]


def test_empty_password_is_refused_at_the_start(server: Served) -> None:
    server.set_password("\n")
    server.launch()

    assert server.process is not None
    assert server.process.wait(20) == 1
    server.process = None
    assert "the password in the Secret is empty" in (server.root / "log").read_text()


async def test_gateways_client_follows_a_rotated_password(server: Served) -> None:
    admin = server.start(FIRST)
    memory = GatewayMemory(url=f"redis://127.0.0.1:{server.port}/0", credentials="/etc/agentberth/memory")
    redactor = Redactor()
    client = open_client(memory, str(server.root), redactor)
    assert await client.dbsize() == 0

    server.set_password(SECOND)
    eventually(lambda: server.admits(SECOND), what=lambda: "it does not follow")
    admin.client_kill_filter(_type="normal", skipme=True)

    assert await client.dbsize() == 0
    assert SECOND not in redactor.redact(f"password {SECOND}")
    await client.aclose()
