import asyncio
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from agent_api.calls import CallsReport
from agent_api.model import Report
from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer
from agent_base.redaction import MASK, Redactor
from agent_kit.errors import ListenError, TokenError
from agent_kit.metrics import new_registry
from agent_kit.ops import Check, OpsServer, ReportSource
from agent_kit.reportkey import read_signer

HOST = "127.0.0.1"


class Health(Report):
    tokens_used: int
    note: str = ""
    cookies: tuple[dict[str, str], ...] = ()


async def get(path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> tuple[int, str, str]:
    """Status, content type and text of one answer of a server that is started for it."""
    async with (
        OpsServer(HOST, 0, **options) as ops,
        aiohttp.ClientSession() as http,
        http.get(f"http://{HOST}:{ops.port}{path}", headers=headers) as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


async def fine() -> None:
    return None


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_a_service_without_checks_is_well(path: str) -> None:
    assert (await get(path))[0::2] == (200, "ok\n")


async def test_failed_checks_are_named_with_their_reasons() -> None:
    ready: dict[str, Check] = {"config": lambda: None, "route": lambda: "no key for main-llm", "cache": fine}
    status, _, text = await get("/readyz", ready=ready)
    assert status == 503
    assert text == "[-] route failed: no key for main-llm\nreadyz check failed\n"


async def test_verbose_lists_every_check() -> None:
    status, _, text = await get("/readyz?verbose", ready={"config": lambda: None, "cache": fine})
    assert status == 200
    assert text == "[+] config ok\n[+] cache ok\nok\n"


async def test_liveness_does_not_depend_on_readiness() -> None:
    assert (await get("/livez", ready={"a": lambda: "no"}))[0] == 200
    assert (await get("/livez", live={"loop": lambda: "stuck"}))[0] == 503


async def test_a_check_that_raises_or_hangs_is_a_failed_one() -> None:
    def broken() -> str:
        raise ValueError("c4nary")

    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    status, _, text = await get("/readyz", ready={"broken": broken, "hang": hang}, check_timeout_s=0.5)
    assert status == 503
    assert "[-] broken failed: the check itself failed with ValueError\n" in text
    assert "[-] hang failed: no answer within 0.5 s\n" in text
    assert "c4nary" not in text


async def test_reasons_and_reports_are_redacted() -> None:
    redactor = Redactor()
    redactor.add("c4nary")
    _, _, text = await get("/readyz", ready={"x": lambda: "key c4nary\nrefused"}, redact=redactor.redact)
    assert text.startswith(f"[-] x failed: key {MASK} refused\n")
    report = Health(tokens_used=1, note="-----BEGIN X-----", cookies=({"cookie": "c4nary"},))
    _, _, text = await get("/report", report=lambda: report, redact=redactor.redact)
    assert json.loads(text) == {"tokensUsed": 1, "note": MASK, "cookies": [{"cookie": MASK}]}


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


async def test_metrics_in_the_format_that_is_asked_for(registry: CollectorRegistry) -> None:
    Counter("agent_requests", "Requests.", registry=registry).inc(3)
    status, content_type, text = await get("/metrics", registry=registry)
    assert status == 200
    assert content_type.startswith("text/plain; version=")
    assert "agent_requests_total 3.0\n" in text
    assert "process_resident_memory_bytes" in text
    _, content_type, text = await get(
        "/metrics", registry=registry, headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


def test_two_services_in_one_process_do_not_collide() -> None:
    for _ in range(2):
        Counter("agent_same_name", "Twice.", registry=new_registry())


async def made() -> Health:
    return Health(tokens_used=7)


@pytest.mark.parametrize("report", [made, lambda: Health(tokens_used=7)])
async def test_the_report_is_json_by_alias(report: ReportSource) -> None:
    status, content_type, text = await get("/report", report=report)
    assert (status, content_type) == (200, "application/json; charset=utf-8")
    assert json.loads(text) == {"tokensUsed": 7, "note": "", "cookies": []}


async def test_a_report_that_fails_is_a_500_without_detail() -> None:
    def broken() -> Health:
        raise ValueError("c4nary")

    status, _, text = await get("/report", report=broken)
    assert (status, text) == (500, "the report could not be made: ValueError\n")


@pytest.mark.parametrize("path", ["/metrics", "/report", "/other"])
async def test_what_is_not_there_is_a_404(path: str) -> None:
    assert (await get(path))[0] == 404


async def test_an_address_that_is_taken_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on {HOST}:{port}: .*; set another ops port"):
            await OpsServer(HOST, port).__aenter__()


async def test_the_port_is_free_again_afterwards() -> None:
    async with OpsServer(HOST, 0) as first:
        port = first.port
    async with OpsServer(HOST, port) as second:
        assert second.port == port


@pytest.mark.parametrize("path, purpose", [("/report", "report"), ("/calls", "calls")])
@pytest.mark.parametrize("nonce", ["n-1_" * 5, "", "short", "n" * 65, "new\tline" * 4])
async def test_reports_and_calls_are_signed_for_whoever_brings_a_nonce(path: str, purpose: Any, nonce: str) -> None:
    signer = Signer("k" * 64, "pod-1", "llmgateway")
    report, calls = Health(tokens_used=1), CallsReport(agent="a")
    async with (
        OpsServer(HOST, 0, report=lambda: report, calls=lambda _: calls, signer=signer) as ops,
        aiohttp.ClientSession() as http,
        http.get(f"http://{HOST}:{ops.port}{path}", headers={NONCE_HEADER: nonce}) as answer,
    ):
        body, signature = await answer.read(), answer.headers.get(SIGNATURE_HEADER, "")
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert signer.is_signed(purpose, nonce, body, signature) == (16 <= len(nonce) <= 64 and "\t" not in nonce)


def test_a_report_key_is_the_file_of_a_pod(tmp_path: Path) -> None:
    path, pod = tmp_path / "report-key", {"AGENT_RUN_ID": "pod-1"}
    assert read_signer(path, "llmgateway", pod) is None
    path.write_text("k" * 64 + "\n")
    assert read_signer(path, "llmgateway", pod) == Signer("k" * 64, "pod-1", "llmgateway")


@pytest.mark.parametrize("key, pod", [("", "pod-1"), ("k" * 31, "pod-1"), ("\u00e9" * 64, "pod-1"), ("k" * 64, "")])
def test_what_is_no_report_key_stops_the_sidecar(tmp_path: Path, key: str, pod: str) -> None:
    path = tmp_path / "report-key"
    path.write_text(key)
    with pytest.raises(TokenError, match="report-key"):
        read_signer(path, "llmgateway", {"AGENT_RUN_ID": pod})
