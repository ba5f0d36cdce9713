"""Every fault of a provider, seen from both ends: how often the provider was asked, and what the client was told."""

import asyncio
import email.utils
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.llmgateway.harness import Dialect, Gateway, Mock, Seen, ask, request_body, run_gateway

TEXT = "a complete answer of the "
GOOD = {"text": TEXT + "{model}", "chunks": 6}
TOO_LONG = {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "prompt is too long"}
FILTERED = {"type": "invalid_request_error", "code": "content_filter", "message": "refused"}
OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


@dataclass(frozen=True)
class Outcome:
    """Tries at the failing provider, and who answers: primary, backup, a status, or an error event."""

    tries: int
    answer: str | int


TO_BACKUP_AT_ONCE = Outcome(1, "backup")
TO_BACKUP_AFTER_RETRY = Outcome(2, "backup")
PRIMARY = Outcome(1, "primary")
SECOND_TRY = Outcome(2, "primary")
ERROR_EVENT = Outcome(1, "error-event")


@dataclass(frozen=True)
class Fault:
    reply: dict[str, Any]
    whole: Outcome
    live: Outcome
    complete: Outcome


def same(reply: dict[str, Any], outcome: Outcome) -> Fault:
    return Fault(reply, outcome, outcome, outcome)


def status(code: int, outcome: Outcome, **more: Any) -> Fault:
    return same({"status": code, **more}, outcome)


def rate_limit(headers: dict[str, str]) -> Fault:
    return status(429, TO_BACKUP_AT_ONCE, headers=headers, error={"type": "rate_limit_error", "message": "slow down"})


FAULTS: dict[str, Fault] = {
    "none": same({}, PRIMARY),
    "400-invalid": status(400, Outcome(1, 400), error={"type": "invalid_request_error", "message": "bad field"}),
    "400-context": status(400, TO_BACKUP_AT_ONCE, error=TOO_LONG),
    "400-filter": status(400, Outcome(1, 400), error=FILTERED),
    "401": status(401, TO_BACKUP_AT_ONCE),
    "402": status(402, TO_BACKUP_AT_ONCE),
    "403": status(403, TO_BACKUP_AT_ONCE),
    "404": status(404, TO_BACKUP_AT_ONCE),
    "408": status(408, TO_BACKUP_AT_ONCE),
    "409": status(409, TO_BACKUP_AT_ONCE),
    "413": status(413, TO_BACKUP_AT_ONCE),
    "422": status(422, Outcome(1, 422)),
    "429-nothing-told": rate_limit({}),
    "429-seconds": rate_limit({"retry-after": "30"}),
    "429-date": rate_limit({"retry-after": email.utils.formatdate(time.time() + 300, usegmt=True)}),
    "429-ms": rate_limit({"retry-after-ms": "30000"}),
    "429-reset-seconds": rate_limit({"x-ratelimit-reset": "30"}),
    "429-reset-epoch": rate_limit({"x-ratelimit-reset": str(int(time.time()) + 300)}),
    "429-reset-requests": rate_limit({"x-ratelimit-reset-requests": "2m30s"}),
    "429-reset-tokens": rate_limit({"x-ratelimit-reset-tokens": "1h"}),
    "429-junk": rate_limit({"retry-after": "soon", "x-ratelimit-reset": "-7"}),
    "429-short": status(429, SECOND_TRY, headers={"retry-after-ms": "60"}, times=1),
    "500-once": status(500, SECOND_TRY, times=1),
    "500": status(500, TO_BACKUP_AFTER_RETRY),
    "502": status(502, TO_BACKUP_AFTER_RETRY),
    "503": status(503, TO_BACKUP_AFTER_RETRY),
    "503-once": status(503, SECOND_TRY, times=1),
    "504": status(504, TO_BACKUP_AFTER_RETRY),
    "529": status(529, TO_BACKUP_AFTER_RETRY, error=OVERLOADED),
    "reset-before-headers": same({"fault": "reset-before-headers"}, TO_BACKUP_AFTER_RETRY),
    "reset-before-headers-once": same({"fault": "reset-before-headers", "times": 1}, SECOND_TRY),
    "reset-after-headers": same({"fault": "reset-after-headers"}, TO_BACKUP_AFTER_RETRY),
    "silence": same({"fault": "silence"}, TO_BACKUP_AT_ONCE),
    "slow-headers": same({"delaySeconds": 20}, TO_BACKUP_AT_ONCE),
    "slow-first-token": same({"firstTokenDelaySeconds": 20}, TO_BACKUP_AT_ONCE),
    "error-in-first-event": same({"fault": "error-first-event"}, TO_BACKUP_AFTER_RETRY),
    "error-in-second-event": same({"fault": "error-event"}, TO_BACKUP_AFTER_RETRY),
    "overloaded-in-stream": same({"fault": "error-event", "error": OVERLOADED}, TO_BACKUP_AFTER_RETRY),
    "error-in-later-event": Fault(
        {"fault": "error-event", "faultAfter": 3, "chunkDelaySeconds": 0.03},
        TO_BACKUP_AFTER_RETRY, ERROR_EVENT, TO_BACKUP_AFTER_RETRY,
    ),
    "not-what-the-api-says": same({"fault": "not-json"}, TO_BACKUP_AFTER_RETRY),
    "cut-before-output": same({"fault": "cut"}, TO_BACKUP_AFTER_RETRY),
    "cut": Fault(
        {"fault": "cut", "faultAfter": 3, "chunkDelaySeconds": 0.03},
        TO_BACKUP_AFTER_RETRY, ERROR_EVENT, TO_BACKUP_AFTER_RETRY,
    ),
    "clean-end-without-finish": Fault(
        {"fault": "clean-end", "faultAfter": 3, "chunkDelaySeconds": 0.03},
        TO_BACKUP_AFTER_RETRY, ERROR_EVENT, TO_BACKUP_AFTER_RETRY,
    ),
    "stall-before-output": same({"fault": "stall"}, TO_BACKUP_AT_ONCE),
    "stall": Fault(
        {"fault": "stall", "faultAfter": 3, "chunkDelaySeconds": 0.03},
        TO_BACKUP_AT_ONCE, ERROR_EVENT, TO_BACKUP_AT_ONCE,
    ),
    "no-done": same({"fault": "no-done"}, PRIMARY),
    "no-done-and-open": same({"fault": "no-done-open"}, PRIMARY),
    "no-usage": same({"usage": None}, PRIMARY),
}  # fmt: skip

# Who speaks what: the client's dialect, and the type of both providers.
PAIRS: list[tuple[Dialect, str]] = [
    ("chat", "openai"),
    ("messages", "anthropic"),
    ("responses", "openai"),
    ("embeddings", "openai"),
    ("messages", "openai"),
    ("chat", "anthropic"),
    ("responses", "openai-compatible"),
    ("responses", "anthropic"),
]
MODES = ["whole", "live", "complete"]


def case_name(fault: str, dialect: str, provider_type: str, mode: str) -> str:
    return f"{fault}.{dialect}.{provider_type}.{mode}"


def all_cases() -> Iterator[tuple[str, Dialect, str, str]]:
    for fault in FAULTS:
        for dialect, provider_type in PAIRS:
            for mode in MODES:
                if dialect != "embeddings" or mode == "whole":
                    yield fault, dialect, provider_type, mode


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "keys").mkdir()
    (folder / "keys" / "api-key").write_text("key-of-the-matrix")
    timeouts = {"connect": 1, "firstToken": 3.0, "firstTokenLast": 5.0, "idle": 2.5, "total": 30}
    providers = [
        {
            "name": f"{role}-{provider_type}",
            "type": provider_type,
            "baseUrl": mock.url,
            "credentials": str(folder / "keys"),
            "timeouts": timeouts,
        }
        for provider_type in ("openai", "anthropic", "openai-compatible")
        for role in ("primary", "backup")
    ]
    aliases = []
    replies = [
        {**GOOD, **fault.reply, "match": {"model": f"{name}.*"}} for name, fault in FAULTS.items()
    ]  # fmt: skip
    for case in all_cases():
        name = case_name(*case)
        # Vectors of another model are no answer: embeddings have the same model on both providers.
        backup = f"{name}" if case[1] == "embeddings" else f"backup.{name}"
        routes = [
            {"provider": f"primary-{case[2]}", "model": name},
            {"provider": f"backup-{case[2]}", "model": backup},
        ]
        aliases.append({"name": f"alias.{name}", "routes": routes})
    mock.set_script({"replies": [*replies, GOOD]})
    limits = {"backoffSeconds": 0.02, "breakerFailures": 1000, "retryRatio": 1.0, "deadlineSeconds": 12}
    config = {"providers": providers, "models": aliases, "limits": limits}
    with run_gateway(folder, config) as running:
        yield running


async def send(client: httpx.AsyncClient, url: str, case: tuple[str, Dialect, str, str]) -> Seen:
    _, dialect, _, mode = case
    client.base_url = httpx.URL(url)
    body = request_body(dialect, f"alias.{case_name(*case)}", stream=mode != "whole")
    delivery = "complete" if mode == "complete" else "live"
    return await ask(client, dialect, body, headers={"x-agentberth-delivery": delivery})


@pytest.mark.parametrize("fault", list(FAULTS))
async def test_every_mode_and_dialect_of_a_fault(
    fault: str, gateway: Gateway, mock: Mock, client: httpx.AsyncClient
) -> None:
    cases = [case for case in all_cases() if case[0] == fault and case[1] != "embeddings"]
    before = mock.counts()
    seen = await asyncio.gather(*(send(client, gateway.url, case) for case in cases))
    counts = mock.counts()
    for case, answer in zip(cases, seen, strict=True):
        name = case_name(*case)
        expected: Outcome = getattr(FAULTS[fault], case[3])
        tries = counts.get(name, 0) - before.get(name, 0)
        shown = f"{name}: {tries} tries, status {answer.status}, {answer.body[-600:]!r}"
        # A reset of a connection that was used before is no verdict, and asked again at once: the mock sees both.
        most = expected.tries * 2 if fault.startswith("reset-before-headers") else expected.tries
        assert expected.tries <= tries <= most, shown
        assert counts.get(f"backup.{name}", 0) == (expected.answer == "backup"), shown
        check_outcome(answer, expected, name, case, shown)


def check_outcome(
    answer: Seen, expected: Outcome, name: str, case: tuple[str, Dialect, str, str], shown: str
) -> None:  # fmt: skip
    if isinstance(expected.answer, int):
        assert answer.status == expected.answer, shown
        assert not answer.complete, shown
        return
    assert answer.status == 200, shown
    if expected.answer == "error-event":
        assert len(answer.errors) == 1, shown
        assert not answer.complete, shown
        assert answer.sentinels == 0, shown
        assert answer.cut, f"the body was ended as if it were whole: {shown}"
        assert answer.text, shown
        assert f"{TEXT}{name}".startswith(answer.text), shown
        return
    model = name if expected.answer == "primary" else f"backup.{name}"
    assert answer.complete, shown
    assert not answer.cut, shown
    assert not answer.errors, shown
    assert answer.text == TEXT + model, shown
    assert answer.headers["x-agentberth-provider"] == f"{expected.answer}-{case[2]}", shown
    if not case[0].startswith("reset-before-headers"):
        assert answer.headers["x-agentberth-attempts"] == str(expected.tries + (expected.answer == "backup")), shown
    if case[1] == "chat" and answer.stream:
        assert answer.sentinels == 1, shown
    if case[1] == "messages" and answer.stream:
        assert [event["type"] for event in answer.events].count("message_start") == 1, shown


EMBEDDING_FAULTS = [
    "none", "400-invalid", "401", "404", "429-seconds", "500-once", "500", "503", "reset-before-headers", "silence",
    "cut",
]  # fmt: skip


@pytest.mark.parametrize("fault", EMBEDDING_FAULTS)
async def test_embeddings_fail_over_to_the_same_model_only(
    fault: str, gateway: Gateway, mock: Mock, client: httpx.AsyncClient
) -> None:
    """Both providers serve one model here, so both have the fault: what counts is who was asked, and how often."""
    case: tuple[str, Dialect, str, str] = (fault, "embeddings", "openai", "whole")
    expected = FAULTS[fault].whole
    before = mock.counts()
    answer = await send(client, gateway.url, case)
    tries = mock.counts().get(case_name(*case), 0) - before.get(case_name(*case), 0)
    if expected.answer == "backup":  # asked there too, with the same result
        most = 4 * expected.tries if fault.startswith("reset-before-headers") else 2 * expected.tries
        assert 2 * expected.tries <= tries <= most
        if fault == "404":  # none left: as it came
            assert answer.status == 404
            return
        assert answer.status in (429, 502, 503)
        attempts = answer.errors[0]["error"]["attempts"]
        assert {each["provider"] for each in attempts} == {"primary-openai", "backup-openai"}
    else:
        assert tries == expected.tries
        assert answer.status == (expected.answer if isinstance(expected.answer, int) else 200)


@pytest.mark.usefixtures("away_from_an_hours_end")
@pytest.mark.parametrize("dialect,provider", PAIRS)
async def test_an_answer_without_usage_is_whole_charged_and_never_reported(
    dialect: Dialect, provider: str, mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.set_script({"replies": [{**GOOD, "usage": None}]})
    only = {"name": "only", "type": provider, "baseUrl": mock.url, "model": "unmeasured"}
    (tmp_path / "api-key").write_text("key")
    only["credentials"] = str(tmp_path)
    with run_gateway(tmp_path / "gw", {"providers": [only], "budget": {"tokensPerHour": 10_000_000}}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        charged = 0
        for asked, stream in enumerate((False,) if dialect == "embeddings" else (False, True), start=1):
            answer = await ask(client, dialect, request_body(dialect, "auto", stream=stream, prompt="word " * 100))
            assert answer.complete
            assert not answer.cut
            assert not answer.errors
            assert not any((answer.usage or {}).values()), "a number that nobody counted"
            deadline = time.monotonic() + 10  # the end of a stream is read before its account is closed
            while (report := gateway.report()).budget.tokens_this_hour < charged + 100:
                assert time.monotonic() < deadline, report.budget
                await asyncio.sleep(0.05)
            charged = report.budget.tokens_this_hour
            assert (report.providers[0].input_tokens, report.providers[0].output_tokens) == (0, 0)
            assert gateway.metrics()['agentberth_llmgateway_unknown_usage_total{provider="only"}'] == asked


async def test_a_refused_connection_and_an_unknown_host_go_on_to_the_next_provider(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.set_script({"replies": [GOOD]})
    config = {
        "providers": [
            {"name": "refuses", "type": "openai-compatible", "baseUrl": "http://127.0.0.1:1/v1", "model": "a"},
            {"name": "unknown", "type": "openai-compatible", "baseUrl": "http://nowhere.invalid/v1", "model": "b"},
            {"name": "there", "type": "openai-compatible", "baseUrl": mock.url, "model": "c"},
        ],
        "limits": {"backoffSeconds": 0.01},
    }
    with run_gateway(tmp_path, config) as gateway:
        client.base_url = httpx.URL(gateway.url)
        for stream in (False, True):
            answer = await ask(client, "chat", request_body("chat", "auto", stream=stream))
            assert answer.complete
            assert answer.headers["x-agentberth-provider"] == "there"
            assert answer.headers["x-agentberth-attempts"] == "5"
        states = {state.name: state for state in gateway.report().providers}
        assert "refused" in states["refuses"].last_error
        assert "cannot be resolved" in states["unknown"].last_error
        assert states["there"].answering


async def test_all_routes_failed_keeps_the_first_error_and_lists_every_attempt(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    first = {"type": "rate_limit_error", "message": "the first says slow down"}
    replies = [
        {"match": {"model": "first"}, "status": 429, "headers": {"retry-after": "40"}, "error": first},
        {"match": {"model": "second"}, "status": 429, "headers": {"retry-after": "20"}, "error": first},
    ]
    mock.set_script({"replies": replies})
    config = {
        "providers": [
            {"name": "one", "type": "mock", "baseUrl": mock.url, "model": "first"},
            {"name": "two", "type": "mock", "baseUrl": mock.url, "model": "second"},
        ],
        "limits": {"deadlineSeconds": 5},
    }
    with run_gateway(tmp_path, config) as gateway:
        client.base_url = httpx.URL(gateway.url)
        for dialect in ("chat", "messages"):
            answer = await ask(client, dialect, request_body(dialect, "auto"))
            assert answer.status == 429
            assert answer.headers["x-should-retry"] == "false"
            assert 1 <= int(answer.headers["retry-after"]) <= 20
            error = answer.errors[0]["error"]
            assert "first says slow down" in error["message"] or dialect == "messages"
            assert [each["provider"] for each in error["attempts"]] == ["one", "two"]


async def test_context_length_is_returned_when_no_route_is_left_and_smaller_routes_are_not_asked(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.clear()
    mock.set_script({"replies": [{"match": {"model": "small*"}, "status": 400, "error": TOO_LONG}]})
    providers = [
        {"name": name, "type": "mock", "baseUrl": mock.url, "model": name} for name in ("small", "smaller", "large")
    ]
    routes = {"known": ["small", "smaller"], "left": ["small", "smaller", "large"]}
    models = [{"name": n, "routes": [{"provider": p} for p in names]} for n, names in routes.items()]
    sizes = {"small": 8000, "smaller": 4000}
    with run_gateway(tmp_path, {"providers": providers, "models": models, "contextTokens": sizes}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        refused = await ask(client, "chat", request_body("chat", "known"))
        assert refused.status == 400
        assert refused.errors[0]["error"]["code"] == "context_length_exceeded"
        answered = await ask(client, "chat", request_body("chat", "left"))
        assert answered.headers["x-agentberth-provider"] == "large"
    assert mock.counts() == {"small": 2, "large": 1}


async def test_a_content_filter_is_routed_round_only_when_switched_on(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    mock.set_script({"replies": [{"match": {"model": "strict"}, "status": 400, "error": FILTERED}]})
    providers = [{"name": name, "type": "mock", "baseUrl": mock.url, "model": name} for name in ("strict", "free")]
    with run_gateway(tmp_path, {"providers": providers, "routeContentFilter": True}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        answer = await ask(client, "chat", request_body("chat", "auto"))
        assert answer.headers["x-agentberth-provider"] == "free"


async def test_returned_errors_are_the_providers_own_bytes(
    mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    error = {"type": "invalid_request_error", "message": "tools[0].name is bad", "code": "bad_tool"}
    mock.set_script({"replies": [{"status": 400, "error": error}]})
    config = {"providers": [{"name": "only", "type": "mock", "baseUrl": mock.url}]}
    with run_gateway(tmp_path, config) as gateway:
        client.base_url = httpx.URL(gateway.url)
        for dialect in ("chat", "messages", "responses", "embeddings"):
            through = await ask(client, dialect, request_body(dialect, "mock"))
            body = request_body(dialect, "mock")
            direct = await client.post(f"{mock.url}{through_path(dialect)}", json=body)
            assert through.body == direct.content
            assert json.loads(through.body)["error"]["message"] == "tools[0].name is bad"


def through_path(dialect: str) -> str:
    return {"chat": "/chat/completions"}.get(dialect, f"/{dialect}")


@pytest.mark.parametrize("dialect,provider", [("chat", "openai"), ("messages", "openai"), ("responses", "anthropic")])
async def test_an_event_that_cannot_be_read_goes_on_or_ends_the_answer(
    dialect: Dialect, provider: str, mock: Mock, tmp_path: Path, client: httpx.AsyncClient
) -> None:
    """One dialect: the client gets what the provider sent. Two: an answer without it would look whole."""
    fault = {"fault": "malformed-event", "faultAfter": 2, "chunkDelaySeconds": 0.02}
    mock.set_script({"replies": [{**GOOD, **fault}]})
    only = {"name": "only", "type": provider, "baseUrl": mock.url, "model": "odd", "credentials": str(tmp_path)}
    (tmp_path / "api-key").write_text("a-key")
    with run_gateway(tmp_path / "gateway", {"providers": [only]}) as gateway:
        client.base_url = httpx.URL(gateway.url)
        answer = await ask(client, dialect, request_body(dialect, "auto", stream=True))
    if dialect == "chat":
        assert answer.complete
        assert answer.unreadable == 1
    else:
        assert not answer.complete
        assert "cannot be read" in answer.errors[0]["error"]["message"]
