"""What autoscalers and the budget's alert read from the gateway."""

import threading
from pathlib import Path

import httpx
import pytest
from contract.llmgateway.harness import Gateway, request_body, run_gateway, run_mock, wait_until

pytestmark = pytest.mark.step5

IN_FLIGHT = "agentberth_llmgateway_requests_in_flight"


def ask(gateway: Gateway) -> None:
    answer = httpx.post(f"{gateway.url}/v1/chat/completions", json=request_body("chat", "auto"), timeout=60)
    assert answer.status_code == 200, answer.text


def test_requests_in_flight_are_counted_while_they_last(tmp_path: Path) -> None:
    with run_mock(tmp_path / "mock", {"replies": [{"delaySeconds": 3}]}) as mock:
        config = {"providers": [{"name": "only", "type": "mock", "baseUrl": mock.url, "model": "mock"}]}
        with run_gateway(tmp_path / "gateway", config) as gateway:
            assert gateway.metrics()[IN_FLIGHT] == 0
            asking = [threading.Thread(target=ask, args=(gateway,)) for _ in range(3)]
            for thread in asking:
                thread.start()
            wait_until(lambda: gateway.metrics()[IN_FLIGHT] == 3)
            for thread in asking:
                thread.join()
            assert gateway.metrics()[IN_FLIGHT] == 0


def test_a_budget_and_what_is_used_of_it_are_shown_and_one_that_is_not_set_is_not(tmp_path: Path) -> None:
    with run_mock(tmp_path / "mock", {"replies": [{"usage": {"input": 60, "output": 40}}]}) as mock:
        config = {
            "providers": [{"name": "only", "type": "mock", "baseUrl": mock.url, "model": "mock"}],
            "budget": {"tokensPerHour": 10_000},
        }
        with run_gateway(tmp_path / "gateway", config) as gateway:
            ask(gateway)
            wait_until(lambda: gateway.metrics()['agentberth_llmgateway_budget_used{budget="tokens_per_hour"}'] == 100)
            shown = gateway.metrics()
    assert shown['agentberth_llmgateway_budget_limit{budget="tokens_per_hour"}'] == 10_000
    assert not any("usd_per_day" in name for name in shown)
