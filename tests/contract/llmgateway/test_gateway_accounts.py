"""Budgets, report, metrics, spans, secrets, readiness and the end of the process."""

import asyncio
import gzip
import hashlib
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from contract.llmgateway.harness import (
    PATHS,
    PROGRAM,
    Dialect,
    Gateway,
    Mock,
    ask,
    free_port,
    request_body,
    run_gateway,
    wait_until,
)

from agent_api.gatewayreport import GatewayReport
from agent_api.memoryreport import MemoryReport

CANARY = "sk-canary-5f2c9e7b1d"
FIRST_TOKEN_S = 6
HUNDRED = {"usage": {"input": 60, "output": 40}}


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as made:
        yield made


def mock_provider(mock: Mock, **more: Any) -> dict[str, Any]:
    return {"name": "only", "type": "mock", "baseUrl": mock.url, "model": "mock", **more}


async def statuses_of(session: aiohttp.ClientSession, gateway: Gateway, count: int, **more: Any) -> list[int]:
    async def send() -> int:
        async with session.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "auto", **more)) as answer:
            await answer.read()
            return answer.status

    return await asyncio.gather(*(send() for _ in range(count)))


@pytest.mark.usefixtures("away_from_an_hours_end")
async def test_a_token_budget_is_overshot_by_one_request_at_most_and_survives_a_restart(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [HUNDRED]})
    config = {"providers": [mock_provider(mock)], "budget": {"tokensPerHour": 1050}}
    with run_gateway(tmp_path, config) as gateway:
        statuses = await statuses_of(session, gateway, 40)
        spent = gateway.report().budget.tokens_this_hour
        assert spent <= 1050 + 100
        assert statuses.count(200) * 100 == spent
        assert statuses.count(429) == 40 - statuses.count(200) > 0
    with run_gateway(tmp_path, config) as again:
        assert again.report().budget.tokens_this_hour == spent
        dialects: list[Dialect] = ["chat", "messages"]
        for dialect in dialects:
            async with session.post(f"{again.url}{PATHS[dialect]}", json=request_body(dialect, "auto")) as answer:
                assert answer.status == 429
                assert (await answer.json())["error"]["type"] == "budget_exceeded"
                assert 0 < int(answer.headers["retry-after"]) <= 3600
                assert answer.headers["x-should-retry"] == "false"


@pytest.mark.usefixtures("away_from_an_hours_end")
async def test_a_money_budget_counts_by_the_price_table_and_refuses_what_has_no_price(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [{"usage": {"input": 1000, "output": 500, "cached": 200}}]})
    prices = {"mock": {"inputUsd": 2.0, "cachedInputUsd": 0.5, "outputUsd": 10.0}}
    config = {"providers": [mock_provider(mock)], "budget": {"usdPerDay": 1.0}, "prices": prices}
    with run_gateway(tmp_path, config) as gateway:
        assert await statuses_of(session, gateway, 3) == [200, 200, 200]
        each_usd = (800 * 2.0 + 200 * 0.5 + 500 * 10.0) / 1e6
        assert gateway.report().budget.usd_today == pytest.approx(3 * each_usd, abs=1e-6)
        async with session.post(
            f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "only/unpriced")
        ) as refused:  # fmt: skip
            assert refused.status == 400
            assert "prices" in (await refused.json())["error"]["message"]


@pytest.mark.usefixtures("away_from_an_hours_end")
async def test_streams_count_too_and_an_unknown_usage_is_charged_but_never_reported(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [HUNDRED]})
    config = {"providers": [mock_provider(mock)], "budget": {"tokensPerHour": 10_000_000}}
    with run_gateway(tmp_path, config) as gateway:
        await statuses_of(session, gateway, 1, stream=True, stream_options={"include_usage": True})
        counted = gateway.report()
        assert counted.budget.tokens_this_hour == 100
        assert (counted.providers[0].input_tokens, counted.providers[0].output_tokens) == (60, 40)
        await statuses_of(session, gateway, 1, stream=True)
        assert gateway.report().budget.tokens_this_hour == 200, "asked for by the gateway"
        mock.set_script({"replies": [{"usage": None}]})
        await statuses_of(session, gateway, 1, stream=True)
        unknown = gateway.report()
        assert unknown.budget.tokens_this_hour > 200
        assert (unknown.providers[0].input_tokens, unknown.providers[0].output_tokens) == (120, 80)
        assert gateway.metrics()['agentberth_llmgateway_unknown_usage_total{provider="only"}'] == 1


UNSEEN = MemoryReport(reachable=False)


async def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not look():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


@contextmanager
def redis_server(folder: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    program = shutil.which("redis-server")
    assert program, "the contract tests need redis-server on the PATH"
    port = free_port()
    running = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", str(folder), "--requirepass", "redis-canary-77"],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield port, running
    finally:
        running.kill()
        running.wait()


async def test_a_memory_is_looked_at_and_holds_nothing_of_the_budget(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [HUNDRED]})
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "password").write_text("redis-canary-77")
    with redis_server(tmp_path) as (port, server):
        memory = {"url": f"redis://127.0.0.1:{port}/0", "credentials": str(tmp_path / "redis")}
        config = {"providers": [mock_provider(mock)], "budget": {"tokensPerHour": 1000}, "memory": memory}
        with run_gateway(tmp_path / "a", config) as gateway:
            assert (await statuses_of(session, gateway, 12)).count(200) == 10
            await until(lambda: (gateway.report().memory or UNSEEN).reachable)
            seen = gateway.report().memory or UNSEEN
            assert (seen.keys, seen.error) == (0, "")
            assert gateway.metrics()["agentberth_memory_reachable"] == 1
            server.kill()
            server.wait()
            assert (await statuses_of(session, gateway, 2)).count(200) == 0
            await until(lambda: not (gateway.report().memory or UNSEEN).reachable)
            assert "redis-canary-77" not in str(gateway.report()) + gateway.log


async def test_the_hold_back_is_bounded_by_time_on_the_last_route(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    """The headers go out when the first-token limit has passed; the answer may still come, and then is whole."""
    mock.set_script({"replies": [{"firstTokenDelaySeconds": FIRST_TOKEN_S}]})
    timeouts = {"firstToken": 0.4, "firstTokenLast": 20}
    with run_gateway(tmp_path, {"providers": [mock_provider(mock, timeouts=timeouts)]}) as gateway:
        began = time.monotonic()
        async with session.post(
            f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "auto", stream=True)
        ) as answer:  # fmt: skip
            assert time.monotonic() - began < FIRST_TOKEN_S
            assert b"[DONE]" in await answer.read()


async def test_a_whole_answer_is_awaited_with_comments(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [{"chunks": 4, "chunkDelaySeconds": 1.6}]})
    with run_gateway(tmp_path, {"providers": [mock_provider(mock)], "delivery": "complete"}) as gateway:
        url, body = f"{gateway.url}{PATHS['chat']}", request_body("chat", "auto", stream=True)
        async with session.post(url, json=body) as answer:
            seen = await answer.read()
        assert seen.startswith(b": keep-alive\n\n")
        assert b": x-agentberth-provider=only" in seen
        assert seen.count(b"[DONE]") == 1


async def test_model_timeouts_give_a_reasoning_model_more(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.set_script({"replies": [{"match": {"model": "thinker"}, "firstTokenDelaySeconds": 1.0}]})
    limits = {"timeouts": {"firstToken": 0.3}, "modelTimeouts": {"thinker": {"firstToken": 10}}}
    providers = [mock_provider(mock, model="thinker", **limits), mock_provider(mock, name="other", model="other")]
    with run_gateway(tmp_path, {"providers": providers}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        answer = await ask(client, "chat", request_body("chat", "auto", stream=True))
        assert answer.headers["x-agentberth-provider"] == "only"


async def test_secrets_are_nowhere_to_be_seen(mock: Mock, tmp_path: Path, client: httpx.AsyncClient) -> None:
    """The provider repeats the key in its refusal, as providers do; also with every log line and a collector."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "api-key").write_text(CANARY)
    mock.clear()
    mock.set_script({"keys": ["another"]})
    leaks = {"type": "invalid_request_error", "message": f"key {CANARY} may not do that"}
    with run_collector() as collector:
        config = {
            "providers": [
                mock_provider(mock, type="openai", credentials=str(tmp_path / "keys")),
                mock_provider(mock, name="second", type="anthropic", credentials=str(tmp_path / "keys")),
            ],
            "captureContent": True,
        }
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with run_gateway(tmp_path, config, flags=["--log-level", "debug"], environ=environ) as gateway:
            client.base_url = httpx.URL(gateway.url)
            answers = []
            for dialect in ("chat", "messages", "responses"):
                for stream in (False, True):
                    body = request_body(dialect, "auto", stream=stream, prompt=f"my key is {CANARY}")
                    answers.append(await ask(client, dialect, body))
            mock.set_script({"replies": [{"status": 400, "error": leaks}]})
            answers += [await ask(client, "chat", request_body("chat", f"{p}/mock")) for p in ("only", "second")]
            assert [answer.status for answer in answers] == [502] * 6 + [400] * 2
            shown = b"".join(answer.body for answer in answers) + str([a.headers for a in answers]).encode()
            shown += gateway.ops.get("/report").content + gateway.ops.get("/metrics").content
            shown += gateway.ops.get("/readyz?verbose").content
        shown += gateway.log.encode() + collector.everything()
        assert collector.everything()
        assert CANARY.encode() not in shown
        assert any(entry["key_sha256"] == hashlib.sha256(CANARY.encode()).hexdigest() for entry in mock.journal())


class Collector:
    """An OTLP/HTTP collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        keep = self.bodies.append

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                keep(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def everything(self) -> bytes:
        return b"".join(self.bodies)


@contextmanager
def run_collector() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        thread.join()
        collector.server.server_close()


async def test_spans_tell_of_attempts_and_carry_the_trace_on_without_prompts(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.clear()
    mock.set_script({"replies": [{"match": {"model": "bad"}, "status": 503}, HUNDRED]})
    providers = [mock_provider(mock, name="first", model="bad"), mock_provider(mock, name="second", model="good")]
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    limits = {"backoffSeconds": 0.01}
    with run_collector() as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with run_gateway(tmp_path, {"providers": providers, "limits": limits}, environ=environ) as gateway:
            client.base_url = httpx.URL(gateway.url)
            headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
            await ask(client, "chat", request_body("chat", "auto", prompt="a private prompt"), headers=headers)
            assert mock.journal("good")[-1]["headers"]["traceparent"].split("-")[1] == trace
        sent = collector.everything()
    for word in (b"gen_ai.request.model", b"gen_ai.usage.input_tokens", b"gen_ai.response.model", b"attempt", b"first"):
        assert word in sent
    assert bytes.fromhex(trace) in sent
    assert b"a private prompt" not in sent


async def test_without_a_collector_the_trace_of_the_agent_is_passed_on(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.set_script({})
    with run_gateway(tmp_path, {"providers": [mock_provider(mock)]}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        await ask(client, "messages", request_body("messages", "auto"), headers={"traceparent": parent})
        assert mock.journal()[-1]["headers"]["traceparent"] == parent


async def test_metrics_have_the_names_of_the_conventions(mock: Mock, tmp_path: Path, client: httpx.AsyncClient) -> None:
    mock.set_script({"replies": [{"match": {"model": "bad"}, "status": 401}, HUNDRED]})
    providers = [mock_provider(mock, name="first", model="bad"), mock_provider(mock, name="second", model="good")]
    with run_gateway(tmp_path, {"providers": providers}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        await ask(client, "chat", request_body("chat", "auto"))
        await ask(client, "chat", request_body("chat", "auto", stream=True))
        metrics = gateway.metrics()
        text = "\n".join(metrics)
        for name in (
            "gen_ai_client_operation_duration_seconds_count",
            "gen_ai_client_token_usage_sum",
            "gen_ai_client_operation_time_to_first_chunk_seconds_count",
            "agentberth_llmgateway_overhead_seconds_count",
        ):
            assert name in text
        assert metrics['agentberth_llmgateway_failovers_total{provider="first"}'] == 2
        bad = 'agentberth_llmgateway_attempts_total{model="bad",outcome="key_refused",provider="first"}'
        assert metrics[bad] == 2


async def test_the_report_is_what_the_model_says_and_knows_who_answers(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.set_script(
        {"replies": [{"match": {"model": "bad"}, "status": 429, "headers": {"retry-after": "90"}}, HUNDRED]}
    )
    providers = [mock_provider(mock, name="first", model="bad"), mock_provider(mock, name="second", model="good")]
    with run_gateway(tmp_path, {"providers": providers}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        await ask(client, "chat", request_body("chat", "auto"))
        raw = gateway.ops.get("/report").json()
        report = GatewayReport.model_validate(raw)
        assert set(raw) == {field.alias or name for name, field in GatewayReport.model_fields.items()}
        first, second = report.providers
        assert (first.answering, second.answering) == (False, True)
        assert first.last_error.startswith("rate_limited")
        assert (first.failures, first.failovers, second.requests) == (1, 1, 1)
        assert first.routes[0].breaker == "open"
        assert 80 < first.routes[0].cooldown_seconds <= 90
        assert (second.input_tokens, second.output_tokens) == (60, 40)
        assert "failed over" in gateway.log


def test_readiness_needs_a_good_configuration_and_one_key(mock: Mock, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    config = {"providers": [mock_provider(mock, type="openai", credentials=str(folder))]}
    gateway = Gateway(tmp_path, config)
    try:
        wait_until(lambda: gateway.ops.get("/readyz").status_code == 503)
        wait_until(lambda: "no provider has a key" in gateway.ops.get("/readyz").text)
        assert gateway.ops.get("/livez").status_code == 200
        (folder / "api-key").write_text("now-there-is-one")
        wait_until(lambda: gateway.ops.get("/readyz").status_code == 200, within_s=30)
    finally:
        gateway.stop()


def test_without_a_configuration_it_waits_and_says_so(mock: Mock, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, {"providers": []})
    try:
        wait_until(lambda: gateway.ops.get("/readyz").status_code == 503)
        wait_until(lambda: "providers" in gateway.report().config_error)
        gateway.write_config({"providers": [mock_provider(mock)]})
        gateway.wait_ready()
        assert gateway.report().config_error == ""
    finally:
        assert gateway.stop() == 0


async def test_sigterm_lets_streams_finish_and_takes_no_new_requests(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [{"chunks": 20, "text": "word " * 20, "chunkDelaySeconds": 0.1}]})
    with run_gateway(tmp_path, {"providers": [mock_provider(mock)]}) as gateway:
        url, body = f"{gateway.url}{PATHS['chat']}", request_body("chat", "auto", stream=True)
        async with session.post(url, json=body) as answer:
            await answer.content.readany()
            gateway.popen.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            assert gateway.ops.get("/readyz").status_code == 503
            with pytest.raises(aiohttp.ClientConnectionError):
                async with aiohttp.ClientSession() as fresh, fresh.post(url, json=body):
                    pass
            rest = await answer.read()
        assert rest.endswith(b"data: [DONE]\n\n")
        assert await asyncio.to_thread(gateway.popen.wait, 10) == 0


async def test_sigterm_cuts_what_is_still_there_after_the_grace_period(
    mock: Mock, tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    mock.set_script({"replies": [{"chunks": 400, "text": "word " * 400, "chunkDelaySeconds": 0.1}]})
    config = {"providers": [mock_provider(mock)], "limits": {"drainSeconds": 0.5}}
    with run_gateway(tmp_path, config) as gateway:
        url, body = f"{gateway.url}{PATHS['chat']}", request_body("chat", "auto", stream=True)
        async with session.post(url, json=body) as answer:
            await answer.content.readany()
            gateway.popen.send_signal(signal.SIGTERM)
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()
        assert await asyncio.to_thread(gateway.popen.wait, 10) == 0


async def test_mock_providers_live_inside_the_process_for_work_without_a_network(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    providers = [
        {"name": "fails", "type": "mock", "options": {"replies": [{"status": 503}]}},
        {"name": "answers", "type": "mock", "options": {"replies": [{"text": "offline: {prompt}"}]}},
    ]
    with run_gateway(tmp_path, {"providers": providers, "limits": {"backoffSeconds": 0.01}}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        answer = await ask(client, "chat", request_body("chat", "mock", prompt="hi"))
        assert answer.text == "offline: hi"
        assert answer.headers["x-agentberth-provider"] == "answers"


def test_the_mock_command_refuses_a_bad_script_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("replies:\n  - txet: hello\n")
    run = subprocess.run(
        [PROGRAM, "mock", "--script", str(script), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "replies.0.txet" in run.stderr


def test_the_mock_command_refuses_a_port_that_is_none() -> None:
    run = subprocess.run([PROGRAM, "mock", "--port", "99999"], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stderr == "agent-llmgateway mock: bind(): port must be 0-65535.\n"


def test_the_pod_layout_can_be_moved_below_a_folder(mock: Mock, tmp_path: Path) -> None:
    base = tmp_path / "etc" / "agentberth"
    (base / "gateway").mkdir(parents=True)
    (base / "credentials" / "only").mkdir(parents=True)
    (base / "credentials" / "only" / "api-key").write_text("moved-key")
    provider = mock_provider(mock, type="openai", credentials="/etc/agentberth/credentials/only")
    document = {"schemaVersion": 1, "agent": "moved", "providers": [provider]}
    (base / "gateway" / "gateway.json").write_text(json.dumps(document))
    flags = ["--root", str(tmp_path), "--config", "/etc/agentberth/gateway/gateway.json"]
    flags += ["--state", "/tmp/budget.json"]
    gateway = Gateway(tmp_path / "unused", {"providers": []}, flags=flags)
    try:
        gateway.wait_ready()
        assert gateway.report().agent == "moved"
        assert gateway.report().providers[0].keys == 1
    finally:
        gateway.stop()
    assert (tmp_path / "tmp" / "budget.json").exists()
