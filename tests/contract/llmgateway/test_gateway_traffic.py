"""What holds under traffic: bytes, connections, changed keys and configurations, an upstream that closes, memory."""

import asyncio
import hashlib
import io
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from contract.llmgateway.harness import PATHS, Gateway, Mock, request_body, run_gateway, run_mock, wait_until

WHOLE = os.environ.get("AGENTBERTH_WHOLE") == "1"
"""AGENTBERTH_WHOLE=1 runs the long forms: a soak of ten minutes, 10,000 requests to an upstream that closes."""
SOAK_S = 600.0 if WHOLE else 14.0
CLOSES = 10_000 if WHOLE else 2_000
LEAVES = 1_000 if WHOLE else 600
PATIENCE_S = 0.8
SLOW_S = 30
LONG = {"text": "word " * 600, "chunks": 600, "chunkDelaySeconds": 0.05}

JSON = {"content-type": "application/json"}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as made:
        yield made


def only(mock: Mock, **more: Any) -> dict[str, Any]:
    return {"providers": [{"name": "only", "type": "openai", "baseUrl": mock.url, **more}]}


def key_folder(folder: Path, key: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "api-key").write_text(key)
    return folder


def swap_key(folder: Path, key: str) -> None:
    draft = folder.parent / "draft-of-a-key"
    draft.write_text(key)
    draft.replace(folder / "api-key")


async def test_the_bytes_of_a_request_reach_the_provider_as_they_were(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Odd spacing, escapes, duplicate-looking names inside messages and schemas: only the model's name may differ."""
    mock.set_script({})
    messages = ' [ {"role":"user", "content" : "a \\"model\\": \\u00e9 ü \\\\"} ]'
    tools = '[{"type":"function","function":{"name":"f","parameters":{"properties":{"model":{"type":"string"}}}}}]'
    body = f'{{ "tools":{tools},"messages":{messages} ,\n "model" : "alias" , "temperature":0.70 }}'.encode()
    config = {
        **only(mock, type="mock"),
        "models": [{"name": "alias", "routes": [{"provider": "only", "model": "m/1"}]}],
    }
    with run_gateway(tmp_path, config) as gateway:
        for dialect in ("chat", "messages", "responses"):
            mock.clear()
            async with session.post(f"{gateway.url}{PATHS[dialect]}", data=body, headers=JSON) as answer:
                assert answer.status == 200, await answer.text()
            entry = mock.journal()[-1]
            assert entry["fields_sha256"]["messages"] == hashlib.sha256(messages.strip().encode()).hexdigest()
            assert entry["fields_sha256"]["tools"] == hashlib.sha256(tools.encode()).hexdigest()
            assert entry["body_sha256"] == hashlib.sha256(body.replace(b'"alias"', b'"m/1"')).hexdigest()
            assert entry["model"] == "m/1"


async def test_the_bytes_of_a_stream_reach_the_client_as_they_were(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [{"text": "x" * 300_000, "chunks": 3}]})
    with run_gateway(tmp_path, only(mock, type="mock", model="mock")) as gateway:
        for dialect in ("chat", "messages", "responses"):
            asked: dict[str, Any] = {"stream_options": {"include_usage": True}} if dialect == "chat" else {}
            body = request_body(dialect, "mock", stream=True, **asked)
            async with session.post(f"{gateway.url}{PATHS[dialect]}", json=body) as through:
                seen = await through.read()
            async with session.post(f"{mock.url}{PATHS[dialect].removeprefix('/v1')}", json=body) as direct:
                assert seen == await direct.read()


async def test_a_large_request_and_one_that_is_too_large(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({})
    limits = {"bodyBytes": 3_000_000}
    with run_gateway(tmp_path, {**only(mock, type="mock"), "limits": limits}) as gateway:
        for size, status in ((2_900_000, 200), (3_100_000, 413)):
            body = io.BytesIO(json.dumps(request_body("chat", "mock", prompt="x" * size)).encode())
            async with session.post(f"{gateway.url}{PATHS['chat']}", data=body, headers=JSON) as answer:
                assert answer.status == status
                assert status == 200 or (await answer.json())["error"]["code"] == "request_too_large"


async def test_clients_that_leave_close_the_provider_and_leave_nothing_behind(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Half of them before the headers, half in the middle of a stream."""
    script = {"replies": [{"match": {"model": "before"}, "delaySeconds": SLOW_S}, LONG]}
    with run_mock(tmp_path, script) as mock, run_gateway(tmp_path, only(mock, type="mock", models=["a"])) as gateway:

        async def leave(model: str) -> None:
            body = request_body("chat", f"only/{model}", stream=True)
            url, patience = f"{gateway.url}{PATHS['chat']}", aiohttp.ClientTimeout(total=PATIENCE_S)
            try:
                async with session.post(url, json=body, timeout=patience) as answer:
                    async for _ in answer.content.iter_any():
                        answer.close()
                        return
            except TimeoutError:
                return

        await _in_groups([leave(m) for m in ("before", "during") for _ in range(50)], size=50)
        warm_rss, warm_files = gateway.rss_mb(), gateway.open_files()
        await _in_groups([leave(m) for m in ("before", "during") for _ in range(LEAVES // 2 - 50)], size=50)
        await asyncio.to_thread(
            wait_until, lambda: all(e["outcome"] == "client-gone" for e in mock.journal()), within_s=30
        )  # fmt: skip
        entries = mock.journal()
        assert len(entries) > LEAVES / 2  # some have left before they came so far
        last_s = max(entry["ended_after_s"] for entry in entries)
        assert last_s < SLOW_S / 2  # long before the provider would have answered
        await asyncio.sleep(0.5)
        assert gateway.open_files() <= warm_files + 5
        assert gateway.rss_mb() <= warm_rss * 1.15 + 3
        assert "Traceback" not in gateway.log
        async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "a")) as after:
            assert after.status == 200


async def test_a_key_that_is_exchanged_under_traffic_fails_no_request(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    folder = key_folder(tmp_path / "keys", "old-key-canary")
    with run_mock(tmp_path, {"keys": ["old-key-canary"]}) as mock:
        config = only(mock, credentials=str(folder), model="mock")
        with run_gateway(tmp_path, config) as gateway:
            statuses: Counter[int] = Counter()

            async def ask_once() -> None:
                async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "mock")) as answer:
                    statuses[answer.status] += 1

            async def rotate() -> None:
                """As a rotation goes: the new key is mounted, then the old one is revoked."""
                await asyncio.sleep(0.3)
                swap_key(folder, "new-key-canary")
                await asyncio.to_thread(mock.set_script, {"keys": ["new-key-canary"]})

            rotation = asyncio.ensure_future(rotate())
            while sum(statuses.values()) < 1000:
                await asyncio.gather(*(ask_once() for _ in range(20)))
                await asyncio.sleep(0.01)
            await rotation
            assert statuses == {200: sum(statuses.values())}
            new_hash = hashlib.sha256(b"new-key-canary").hexdigest()
            assert mock.journal()[-1]["key_sha256"] == new_hash


async def test_a_new_key_is_in_use_without_a_restart(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    folder = key_folder(tmp_path / "keys", "old-key-canary")
    with (
        run_mock(tmp_path) as mock,
        run_gateway(tmp_path, only(mock, credentials=str(folder), model="mock")) as gateway,
    ):
        swap_key(folder, "new-key-canary")
        swapped = time.monotonic()
        new_hash = hashlib.sha256(b"new-key-canary").hexdigest()
        while True:
            async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "mock")) as answer:
                assert answer.status == 200
            if mock.journal()[-1]["key_sha256"] == new_hash:
                break
            assert time.monotonic() - swapped < 20
            await asyncio.sleep(0.05)


async def test_keys_of_a_pool_take_turns_and_a_limited_one_is_left_alone(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    folder = key_folder(tmp_path / "keys", "key-one")
    (folder / "api-key-2").write_text("key-two\n")
    with (
        run_mock(tmp_path) as mock,
        run_gateway(tmp_path, only(mock, credentials=str(folder), model="mock")) as gateway,
    ):

        async def ask(count: int) -> list[int]:
            statuses = []
            for _ in range(count):
                async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "mock")) as answer:
                    statuses.append(answer.status)
            return statuses

        assert await ask(10) == [200] * 10
        used = Counter(entry["key_sha256"] for entry in mock.journal())
        assert sorted(used.values()) == [5, 5]
        mock.set_script({"keys": ["key-two"]})  # the first is refused from now on
        assert await ask(6) == [200] * 6
        assert gateway.report().providers[0].keys == 2


async def test_a_configuration_that_is_exchanged_under_traffic_fails_no_request(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({})
    configs = [only(mock, type="mock", name=name, model=f"model-{name}") for name in ("blue", "green")]
    with run_gateway(tmp_path, configs[0]) as gateway:
        statuses: Counter[int] = Counter()
        providers: Counter[str] = Counter()

        async def ask_for(seconds: float) -> None:
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at:
                async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "auto")) as answer:
                    statuses[answer.status] += 1
                    providers[answer.headers["x-agentberth-provider"]] += 1

        async def swap() -> None:
            for turn in range(1, 4):
                await asyncio.sleep(1.1)
                gateway.write_config(configs[turn % 2])

        await asyncio.gather(swap(), *(ask_for(5.0) for _ in range(8)))
        assert set(statuses) == {200}
        assert providers["green"]
        good = gateway.report()
        assert good.config_hash == hashlib.sha256(gateway.config_path.read_bytes()).hexdigest()

        gateway.write_config({"providers": [{"name": "x", "type": "openai-compatible"}]})
        await asyncio.to_thread(wait_until, lambda: "needs baseUrl" in gateway.report().config_error)
        bad = gateway.report()
        assert bad.config_hash == good.config_hash
        assert bad.ready
        await ask_for(0.2)
        assert set(statuses) == {200}


async def test_a_request_that_is_still_being_sent_is_answered_by_the_configuration_that_is_there_in_the_end(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """The first provider is a mock within the gateway, which is gone with its configuration."""
    configs = [{"providers": [{"name": name, "type": "mock", "model": "mock"}]} for name in ("blue", "green")]
    body = json.dumps(request_body("chat", "auto")).encode()
    with run_gateway(tmp_path, configs[0]) as gateway:

        async def slowly() -> AsyncIterator[bytes]:
            yield body[:10]
            gateway.write_config(configs[1])
            digest = hashlib.sha256(gateway.config_path.read_bytes()).hexdigest()
            await asyncio.to_thread(wait_until, lambda: gateway.report().config_hash == digest)
            yield body[10:]

        async with session.post(f"{gateway.url}{PATHS['chat']}", data=slowly(), headers=JSON) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["x-agentberth-provider"] == "green"


async def test_an_upstream_that_closes_after_each_answer_is_asked_once_for_each_request(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """Each answer is followed by a close that nobody announced."""
    with run_mock(tmp_path, {"closeAfterAnswer": True, "replies": [{"text": "x"}]}) as mock:
        config = {**only(mock, type="mock", model="mock"), "limits": {"retryRatio": 0, "triesPerProvider": 1}}
        with run_gateway(tmp_path, config) as gateway:
            statuses: Counter[int] = Counter()
            attempts: Counter[str] = Counter()
            body = json.dumps(request_body("chat", "mock")).encode()

            async def ask(count: int) -> None:
                for _ in range(count):
                    async with session.post(f"{gateway.url}{PATHS['chat']}", data=body, headers=JSON) as answer:
                        statuses[answer.status] += 1
                        attempts[answer.headers["x-agentberth-attempts"]] += 1

            await asyncio.gather(*(ask(CLOSES // 16) for _ in range(16)))
            assert statuses == {200: CLOSES}
            assert attempts == {"1": CLOSES}
            assert mock.counts() == {"mock": CLOSES}


async def test_retries_are_a_fifth_of_the_traffic_when_everything_is_down(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with run_mock(tmp_path, {"replies": [{"status": 503}]}) as mock:
        limits = {"backoffSeconds": 0.001, "breakerFailures": 1000}
        providers = [{"name": n, "type": "mock", "baseUrl": mock.url, "model": n} for n in ("one", "two")]
        with run_gateway(tmp_path, {"providers": providers, "limits": limits}) as gateway:

            async def ask(count: int) -> None:
                for _ in range(count):
                    async with session.post(
                        f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "auto")
                    ) as answer:
                        assert answer.status == 503

            await asyncio.gather(*(ask(50) for _ in range(10)))
            tries = sum(mock.counts().values())
            retries = tries - 2 * 500  # each request goes to each provider once
            assert 0 < retries <= 0.2 * 500 + 10  # the reserve of the start


async def test_an_open_breaker_sends_few_probes_and_closes_soon_after_recovery(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    with run_mock(tmp_path, {"replies": [{"match": {"model": "bad"}, "status": 500}]}) as mock:
        limits = {"backoffSeconds": 0.001, "breakerFailures": 5, "breakerOpenSeconds": 1.0}
        providers = [{"name": n, "type": "mock", "baseUrl": mock.url, "model": n} for n in ("bad", "good")]
        with run_gateway(tmp_path, {"providers": providers, "limits": limits}) as gateway:

            async def ask() -> str:
                async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "auto")) as answer:
                    assert answer.status == 200
                    return answer.headers["x-agentberth-provider"]

            began = time.monotonic()
            for _ in range(300):
                assert await ask() == "good"
                await asyncio.sleep(0.005)
            lasted_s = time.monotonic() - began
            assert mock.counts()["bad"] <= 6 + 2 * (lasted_s + 1)
            route = next(r for p in gateway.report().providers for r in p.routes if p.name == "bad")
            assert route.breaker in ("open", "half-open")
            assert 'agentberth_llmgateway_breaker_open{key="",model="bad",provider="bad"}' in gateway.metrics()
            mock.set_script({})
            await asyncio.to_thread(time.sleep, 1.1)
            assert await ask() == "bad"
            assert gateway.report().providers[0].routes[0].breaker == "closed"


async def test_a_soak_with_faults_keeps_memory_and_sockets(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    """200 streams at a time with every kind of fault; memory after the warm-up (a minute) stays within 10 %."""
    faults: list[dict[str, Any]] = [
        {"fault": "cut", "faultAfter": 5}, {"fault": "reset-before-headers"}, {"status": 503}, {"status": 500},
        {"fault": "malformed-event", "faultAfter": 2}, {"fault": "error-event", "faultAfter": 3},
        {"fault": "no-done"}, {"status": 429, "headers": {"retry-after": "1"}}, {"fault": "clean-end", "faultAfter": 2},
    ]  # fmt: skip
    replies = [
        {"match": {"model": f"fault-{i}"}, "text": "word " * 30, "chunks": 30, "chunkDelaySeconds": 0.01, **fault}
        for i, fault in enumerate(faults)
    ]
    good = {"text": "word " * 30, "chunks": 30, "chunkDelaySeconds": 0.01}
    with run_mock(tmp_path, {"replies": [*replies, good]}) as mock:
        providers = [{"name": n, "type": "mock", "baseUrl": mock.url, "model": n} for n in ("one", "two")]
        aliases = [
            {"name": f"alias-{i}", "routes": [{"provider": "one", "model": f"fault-{i}"}, {"provider": "two"}]}
            for i in range(len(faults))
        ]
        limits = {"backoffSeconds": 0.01}
        with run_gateway(tmp_path, {"providers": providers, "models": aliases, "limits": limits}) as gateway:
            wrong: Counter[str] = Counter()
            dice = random.Random(7)  # noqa: S311 - the same faults in the same order each time

            async def stream_until(ends_at: float) -> None:
                while time.monotonic() < ends_at:
                    model = dice.choice([*(alias["name"] for alias in aliases), "auto", "auto", "auto"])
                    await _read_stream(session, gateway, str(model), wrong)

            warm_up_s = min(60.0, SOAK_S / 2)
            begin = time.monotonic()
            tasks = [asyncio.ensure_future(stream_until(begin + SOAK_S)) for _ in range(200)]
            await asyncio.sleep(warm_up_s)
            warm_mb, warm_files = gateway.rss_mb(), gateway.open_files()
            await asyncio.gather(*tasks)
            end_mb, end_files = gateway.rss_mb(), gateway.open_files()
            figures = f"{SOAK_S:g} s, {sum(mock.counts().values())} tries, RSS {warm_mb:.1f} -> {end_mb:.1f} MB"
            sys.stdout.write(f"soak: {figures}, files {warm_files} -> {end_files}\n")  # seen with -rP
            assert not wrong, wrong
            assert end_mb <= warm_mb * 1.10 + 2
            assert end_files <= max(warm_files * 1.10, 2 * len(tasks)) + 30  # a stream has a socket on either side
            assert gateway.popen.poll() is None
            assert "Traceback" not in gateway.log


async def _read_stream(
    session: aiohttp.ClientSession, gateway: Gateway, model: str, wrong: Counter[str]
) -> None:  # fmt: skip
    """Count an answer that looks complete and is not, and one that is neither complete nor an error."""
    seen = b""
    try:
        body = request_body("chat", model, stream=True)
        async with session.post(f"{gateway.url}{PATHS['chat']}", json=body) as answer:
            async for chunk in answer.content.iter_any():
                seen += chunk
            status = answer.status
    except aiohttp.ClientPayloadError:
        status = 200
    complete = b'"finish_reason": "stop"' in seen and b"[DONE]" in seen
    failed = status != 200 or b'"error"' in seen
    if complete == failed or (complete and seen.count(b"word") != 30):
        wrong[f"{model}: {status} {seen[-200:]!r}"] += 1


async def _in_groups(work: list[Any], *, size: int) -> None:
    for at in range(0, len(work), size):
        await asyncio.gather(*work[at : at + size])
