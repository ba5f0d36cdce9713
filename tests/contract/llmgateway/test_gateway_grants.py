"""A real gateway whose budget is granted: it takes signed orders alone, spends no more than them, and says why not."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import httpx
import pytest
from contract.llmgateway.harness import PATHS, Gateway, Mock, request_body, run_gateway, run_mock, wait_until

from agent_api.budget.grants import GRANT_PATH, GrantOrder, GrantReceipt, Holdings, LastReceipt, Slice
from agent_api.budget.limits import window_at
from agent_api.signing import NONCE_HEADER, SIGNATURE_HEADER, Signer, new_nonce

SIGNER = Signer("k" * 64, "pod-1", "llmgateway")
HUNDRED = {"usage": {"input": 60, "output": 40}}
HOUR = "tokensPerHour"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def mock(tmp_path: Path) -> Iterator[Mock]:
    with run_mock(tmp_path / "mock", {"replies": [HUNDRED]}) as found:
        yield found


@contextmanager
def granted(folder: Path, mock: Mock, **budget: Any) -> Iterator[Gateway]:
    """A gateway as it is in a Pod. Its folder outlives it, as that of a container does."""
    folder.mkdir(exist_ok=True)
    (folder / "report-key").write_text(SIGNER.key)
    (folder / "last-words").touch()
    provider = {"name": "only", "type": "openai-compatible", "baseUrl": mock.url, "model": "mock"}
    config = {"providers": [provider], "budget": {HOUR: 1_000_000, "granted": True, **budget}}
    flags = ["--report-key", str(folder / "report-key"), "--last-words", str(folder / "last-words")]
    with run_gateway(
        folder, config, flags=[*flags, "--grant-wait-s", "1"], environ={"AGENT_RUN_ID": "pod-1"}
    ) as gateway:
        yield gateway


def order_of(serial: int, cap: int, **more: bool) -> GrantOrder:
    now = time()
    each = Slice(limit=HOUR, window=window_at("hour", now), cap=cap, **more)
    return GrantOrder(serial=serial, issued_at=now, slices=(each,))


def post(gateway: Gateway, body: bytes, *, signer: Signer = SIGNER, signed: bytes | None = None) -> httpx.Response:
    nonce = new_nonce()
    signature = signer.sign("grant order", nonce, body if signed is None else signed)
    return gateway.ops.post(GRANT_PATH, content=body, headers={NONCE_HEADER: nonce, SIGNATURE_HEADER: signature})


def grant(gateway: Gateway, serial: int, cap: int, **more: bool) -> GrantReceipt:
    answer = post(gateway, order_of(serial, cap, **more).model_dump_json(by_alias=True).encode())
    assert answer.status_code == 200, answer.text
    nonce = answer.request.headers[NONCE_HEADER]
    assert SIGNER.is_signed("grant receipt", nonce, answer.content, answer.headers[SIGNATURE_HEADER])
    return GrantReceipt.model_validate_json(answer.content)


def ask(gateway: Gateway, **more: Any) -> httpx.Response:
    body = request_body("chat", "auto", max_tokens=40, **more)
    return httpx.post(f"{gateway.url}{PATHS['chat']}", json=body, timeout=60)


def test_what_is_granted_is_spent_and_then_refused_with_the_reason(mock: Mock, tmp_path: Path) -> None:
    with granted(tmp_path / "pod", mock) as gateway:
        unheard = ask(gateway)
        assert unheard.status_code == 429
        assert unheard.json()["error"]["code"] == "budget_unavailable"
        assert "the operator, which was never heard of, has granted no more within 1 s" in unheard.text

        assert grant(gateway, 1, 1000, overrun=True).standings[0].wanted > 0
        answered = 0
        while (answer := ask(gateway)).status_code == 200:
            answered += 1
        assert answered == 10
        assert answer.json()["error"]["code"] == "budget_unavailable"

        grant(gateway, 2, 1000, exhausted=True)
        spent = ask(gateway)
        assert spent.json()["error"]["code"] == "budget_exceeded"
        assert 0 < int(spent.headers["retry-after"]) <= 3600
        assert len(mock.journal()) == answered


def test_a_gateway_that_is_killed_spends_no_more_than_its_slice(mock: Mock, tmp_path: Path) -> None:
    state = tmp_path / "pod" / "budget.json"
    with granted(tmp_path / "pod", mock) as gateway:
        grant(gateway, 1, 1000, overrun=True)
        for _ in range(4):
            assert ask(gateway).status_code == 200
        wait_until(lambda: Holdings.model_validate_json(state.read_bytes()).held[HOUR].spent == 400)
        gateway.popen.send_signal(signal.SIGKILL)
        gateway.popen.wait(30)
    for _ in range(2):
        with granted(tmp_path / "pod", mock) as gateway:
            grant(gateway, 1, 1000, overrun=True)  # as before: nothing new
            while ask(gateway).status_code == 200:
                assert len(mock.journal()) <= 10
            gateway.popen.send_signal(signal.SIGKILL)
            gateway.popen.wait(30)


def test_a_gateway_that_ends_says_what_it_gave_back(mock: Mock, tmp_path: Path) -> None:
    with granted(tmp_path / "pod", mock) as gateway:
        grant(gateway, 1, 1000, overrun=True)
        assert ask(gateway).status_code == 200
    last = LastReceipt.model_validate_json((tmp_path / "pod" / "last-words").read_text())
    assert SIGNER.is_signed("last receipt", "", last.receipt.encode(), last.signature)
    (standing,) = GrantReceipt.model_validate_json(last.receipt).standings
    assert (standing.cap, standing.spent) == (100, 100)


def test_nobody_but_the_operator_orders(mock: Mock, tmp_path: Path) -> None:
    body = order_of(9, 10**9, overrun=True).model_dump_json(by_alias=True).encode()
    with granted(tmp_path / "pod", mock) as gateway:
        for answer in (
            gateway.ops.post(GRANT_PATH, content=body),
            post(gateway, body, signer=Signer("j" * 64, "pod-1", "llmgateway")),
            post(gateway, body, signer=Signer(SIGNER.key, "pod-2", "llmgateway")),
            post(gateway, body, signer=Signer(SIGNER.key, "pod-1", "toolproxy")),
            post(gateway, body, signed=body.replace(b"9", b"8")),
        ):
            assert answer.status_code == 403
        replayed = {NONCE_HEADER: new_nonce(), SIGNATURE_HEADER: SIGNER.sign("grant receipt", new_nonce(), body)}
        assert gateway.ops.post(GRANT_PATH, content=body, headers=replayed).status_code == 403
        assert post(gateway, b"x" * 9000).status_code == 413
        for junk in (b"{}", b"[]", b"\xff", json.dumps({"serial": -1, "issuedAt": 0}).encode(), b"[" * 8000):
            assert post(gateway, junk).status_code == 400
        assert ask(gateway).status_code == 429
        assert mock.journal() == []


def test_without_an_operator_a_gateway_keeps_its_budget_itself(mock: Mock, tmp_path: Path) -> None:
    with granted(tmp_path / "run", mock, tokensPerHour=250, granted=False) as gateway:
        assert [ask(gateway).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
