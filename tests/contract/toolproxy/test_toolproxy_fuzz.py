"""The published document against the service, by schemathesis; and /mcp against anything."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from contract.toolproxy.test_toolproxy_memory import RedisServer
from contract.toolproxy.toolproxy_harness import ToolProxy
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

DOCUMENT = Path(__file__).parents[3] / "docs/reference/toolproxy.openapi.json"
CALM = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
schema = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
METHODS = st.sampled_from(
    [
        *("initialize", "tools/list", "tools/call", "server/discover", "subscriptions/listen", "ping"),
        *("resources/list", "resources/read", "resources/subscribe", "prompts/list", "prompts/get"),
        *("completion/complete", "logging/setLevel", "notifications/cancelled"),
    ]
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    """A proxy with a memory, and a program that does no harm whatever it is given."""
    redis = RedisServer(tmp_path_factory.mktemp("redis"), "canary-redis-password")
    redis.start()
    proxy = ToolProxy(tmp_path_factory.mktemp("fuzz"))
    proxy.add_program("quiet", "#!/bin/sh\nexit 0\n")
    proxy.write_credential("memory", "password", redis.password)
    memory = {"url": f"redis://127.0.0.1:{redis.port}", "credentials": "memory", "prefix": "f:"}
    proxy.write_config(tools=[{"name": "quiet"}], memory=memory)
    yield proxy.start()
    proxy.close()
    redis.stop()


@schema.parametrize()
@CALM
def test_the_service_is_what_its_document_says(case: schemathesis.Case[Any], fuzzed: ToolProxy) -> None:
    checks = schemathesis.checks.CHECKS
    excluded: Any = [checks.get_one("unsupported_method")]  # 405 is tested by itself
    if case.method == "POST":
        case.path_parameters["name"] = "quiet"
        excluded.append(checks.get_one("positive_data_acceptance"))  # what a tool takes is in its own schema
    response = case.call(base_url=fuzzed.url)
    case.validate_response(response, excluded_checks=excluded)


@CALM
@given(body=VALUES, version=st.sampled_from([None, "2026-07-28", "2025-06-18", "2025-03-26", "x"]))
def test_mcp_answers_any_json_with_an_error_or_a_result(fuzzed: ToolProxy, body: Any, version: str | None) -> None:
    check_answer(post(fuzzed, body, version))


@settings(CALM, max_examples=80)
@given(
    message_id=st.integers() | st.text(max_size=5) | st.none(),
    method=METHODS | st.text(max_size=12),
    params=st.dictionaries(st.sampled_from(["name", "arguments", "cursor", "_meta", "notifications"]), VALUES) | VALUES,
    version=st.sampled_from([None, "2026-07-28", "2025-11-25"]),
)
def test_mcp_answers_any_request_with_an_error_or_a_result(
    fuzzed: ToolProxy, message_id: Any, method: str, params: Any, version: str | None
) -> None:
    body = {"jsonrpc": "2.0", "id": message_id, "method": method, "params": params}
    check_answer(post(fuzzed, body, version))


def post(proxy: ToolProxy, body: Any, version: str | None) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if version:
        headers["MCP-Protocol-Version"] = version
    return httpx.post(f"{proxy.url}/mcp", content=json.dumps(body).encode(), headers=headers, timeout=20)


def check_answer(answer: httpx.Response) -> None:
    assert answer.status_code in (200, 202, 400, 404, 406)
    if answer.status_code != 202:
        messages = answer.json() if isinstance(answer.json(), list) else [answer.json()]
        for message in messages:
            assert message["jsonrpc"] == "2.0"
            assert ("result" in message) != ("error" in message)
            assert message.get("error", {}).get("code") != -32603


def test_nothing_failed_inside(fuzzed: ToolProxy) -> None:
    fuzzed.run("quiet")
    assert not [line for line in fuzzed.log_lines() if line["level"] == "error"]


def test_the_published_document_is_generated_and_clean() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "agent_toolproxy.serving.openapi"], capture_output=True, check=True, timeout=60
    ).stdout
    assert printed == DOCUMENT.read_bytes(), (
        "run: python -m agent_toolproxy.serving.openapi > docs/reference/toolproxy.openapi.json"
    )
