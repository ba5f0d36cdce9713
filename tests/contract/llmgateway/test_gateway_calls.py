"""The recorder of the gateway: what `/calls` on the ops port says of each request, and what it never says."""

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.llmgateway.harness import PATHS, Dialect, Gateway, Mock, request_body, run_gateway, wait_until

from agent_api.calls import MOST_CALLS, CallsReport, ModelCall

CANARY = "sk-canary-5f2c9e7b1d"
PRICES = {"steady": {"inputUsd": 1_000_000, "outputUsd": 2_000_000}}


def config(mock: Mock, **more: Any) -> dict[str, Any]:
    first = {"name": "first", "type": "mock", "baseUrl": mock.url, "model": "grand"}
    second = {"name": "second", "type": "mock", "baseUrl": mock.url, "model": "steady"}
    return {"providers": [first, second], "prices": PRICES, **more}


def script(**steady: Any) -> dict[str, Any]:
    limited = {"match": {"model": "grand"}, "status": 429, "headers": {"retry-after": "60"}}
    usage = {"usage": {"input": 3, "output": 2}}
    return {"replies": [{**limited, "error": {"message": f"key {CANARY}"}}, {**usage, **steady}]}


def calls_of(gateway: Gateway, count: int, after: int = 0) -> tuple[ModelCall, ...]:
    def read() -> CallsReport:
        return CallsReport.model_validate_json(gateway.ops.get("/calls", params={"after": after}).content)

    wait_until(lambda: len(read().calls) >= count)
    return tuple(call for call in read().calls if isinstance(call, ModelCall))


async def ask(client: httpx.AsyncClient, gateway: Gateway, *, stream: bool = False, **headers: str) -> httpx.Response:
    body = request_body("chat", "auto", stream=stream)
    return await client.post(f"{gateway.url}{PATHS['chat']}", json=body, headers=headers)


async def test_a_failover_is_told_with_its_reason_tokens_and_cost(
    tmp_path: Path, mock: Mock, client: httpx.AsyncClient
) -> None:
    mock.set_script(script())
    with run_gateway(tmp_path, config(mock)) as gateway:
        await ask(client, gateway)
        await ask(client, gateway, stream=True)

        whole, stream = calls_of(gateway, 2)

    assert [(each.provider, each.outcome) for each in whole.tries] == [
        ("first", "rate_limited"),
        ("second", "answered"),
    ]
    assert (whole.requested, whole.provider, whole.model, whole.outcome) == ("auto", "second", "steady", "answered")
    assert whole.tokens is not None
    assert (whole.tokens.input, whole.tokens.output, whole.usd) == (3, 2, 7.0)
    assert whole.first_token_ms is None
    assert stream.first_token_ms is not None
    assert CANARY not in whole.model_dump_json()
    assert (whole.input, whole.output) == ("", "")


async def test_one_run_is_one_trace_unless_the_client_has_its_own(
    tmp_path: Path, mock: Mock, client: httpx.AsyncClient
) -> None:
    mock.set_script(script())
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with run_gateway(tmp_path, config(mock), environ={"AGENT_RUN_ID": "run-1"}) as gateway:
        await ask(client, gateway)
        await ask(client, gateway)
        await ask(client, gateway, traceparent=own)

        one, two, three = calls_of(gateway, 3)

    assert one.trace.trace == two.trace.trace != ""
    assert three.trace.trace == "0af7651916cd43dd8448eb211c80319c"
    assert three.trace.parent == "b7ad6b7169203331"


async def test_content_is_kept_only_when_it_is_asked_for_and_redacted(
    tmp_path: Path, mock: Mock, client: httpx.AsyncClient
) -> None:
    mock.set_script(script(text=f"the key is {CANARY}"))
    with run_gateway(tmp_path, config(mock, captureContent=True)) as gateway:
        await ask(client, gateway)
        (call,) = calls_of(gateway, 1)

    assert '"messages"' in call.input
    assert "the key is" in call.output
    assert CANARY not in call.model_dump_json()


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
async def test_what_a_stream_said_is_kept_as_one_text_in_which_no_piece_of_a_secret_is_left(
    tmp_path: Path, mock: Mock, client: httpx.AsyncClient, dialect: Dialect
) -> None:
    mock.set_script(script(text=f"the key is {CANARY}, and that was all", chunks=16))
    with run_gateway(tmp_path, config(mock, captureContent=True)) as gateway:
        body = request_body(dialect, "auto", stream=True)
        answer = await client.post(f"{gateway.url}{PATHS[dialect]}", json=body)
        (call,) = calls_of(gateway, 1)

    assert answer.status_code == 200
    assert "the key is" in call.output
    assert "that was all" in call.output
    assert all(piece not in call.output for piece in (CANARY[:9], CANARY[9:]))


async def test_what_came_of_a_stream_that_broke_is_kept(tmp_path: Path, mock: Mock, client: httpx.AsyncClient) -> None:
    mock.set_script(script(text="one two three four", chunks=4, fault="cut", faultAfter=2))
    with run_gateway(tmp_path, config(mock, captureContent=True)) as gateway:
        with contextlib.suppress(httpx.HTTPError):
            await ask(client, gateway, stream=True)
        (call,) = calls_of(gateway, 1)

    assert call.outcome == "broken"
    assert '"one t' in call.output
    assert "four" not in call.output


async def test_the_ring_is_bounded_and_says_what_it_dropped(
    tmp_path: Path, mock: Mock, client: httpx.AsyncClient
) -> None:
    mock.set_script(script())
    with run_gateway(tmp_path, config(mock)) as gateway:
        for _ in range(MOST_CALLS + 5):
            await client.post(f"{gateway.url}{PATHS['chat']}", json=request_body("chat", "x" * 5000))
        await ask(client, gateway)
        wait_until(lambda: gateway.ops.get("/calls").json()["calls"] != [])
        report = CallsReport.model_validate_json(gateway.ops.get("/calls").content)
        last = report.calls[-1].number

        assert calls_of(gateway, 0, after=last) == ()

    assert len(report.calls) + report.dropped == last
    assert len(report.calls) <= MOST_CALLS
