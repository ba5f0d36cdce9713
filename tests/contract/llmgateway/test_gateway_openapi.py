"""The published document is the one that the program prints, and the gateway is what the document says."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from contract.llmgateway.harness import PROGRAM, Gateway, Mock, run_gateway
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "llmgateway.openapi.json"
schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text()))
MODELS = ["mock", "auto", "only/any", "translated/any", "missing"]


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    mock.set_script({})
    providers = [
        {"name": "only", "type": "mock", "baseUrl": mock.url, "model": "mock"},
        {"name": "translated", "type": "openai-compatible", "baseUrl": mock.url},
    ]
    with run_gateway(tmp_path_factory.mktemp("fuzz"), {"providers": providers}) as running:
        yield running


def test_the_published_document_is_generated_and_clean() -> None:
    printed = subprocess.run([PROGRAM, "openapi"], capture_output=True, text=True, check=True).stdout
    assert DOCUMENT.read_text() == printed


@schema.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
)
def test_the_gateway_is_what_its_document_says(case: "schemathesis.Case[Any]", gateway: Gateway) -> None:
    response = case.call(base_url=gateway.url, timeout=20)
    case.validate_response(response)
    assert "Traceback" not in gateway.log


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(case=schema["/v1/chat/completions"]["POST"].as_strategy(), model=st.sampled_from(MODELS))
def test_known_models_are_answered_whatever_else_the_request_says(
    case: "schemathesis.Case[Any]", model: str, gateway: Gateway
) -> None:
    body = case.body if isinstance(case.body, dict) else {}
    case.body = {**body, "model": model}
    response = case.call(base_url=gateway.url, timeout=20)
    assert response.status_code in (200, 400, 404)
    if response.status_code != 200:
        assert response.json()["error"]["message"]
