"""The table "What a failure means" of docs/reference/llmgateway.md: each of its rows, and no other, is tried here."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent_llmgateway.failover.decision import Decision, NextKey, NextRoute, Retry, Return, RouteMemory, decide
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import (
    Failure,
    broken_failure,
    network_failure,
    read_failure,
    silent_failure,
)

PAGE = Path(__file__).parents[3] / "docs/reference/llmgateway.md"
FIRST = RouteMemory(
    retries=0, may_try=True, has_other_key=False, is_last=False, backoff_s=0.5, longest_wait_s=30.0
)  # fmt: skip
Case = tuple[Failure, RouteMemory, Decision]


def said(status: int, message: str = "x", code: str | None = None, **headers: str) -> Failure:
    body = json.dumps({"error": {"message": message, "code": code}}).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_failure(status, names, body, dialect="chat", now_epoch_s=1_800_000_000.0)


OTHER_KEY = replace(FIRST, has_other_key=True)
AGAIN = replace(FIRST, retries=1)
LAST = replace(FIRST, is_last=True, longest_wait_s=600.0)
SPENT = replace(FIRST, may_try=False)
FILTERS_ROUTED = replace(FIRST, route_content_filter=True)
MONEY = (
    said(400, "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing"),
    said(400, "You have reached your specified API usage limits. You will regain access on 2026-12-01"),
    said(400, "API key not valid. Please pass a valid API key."),
    said(429, "You exceeded your current quota, please check your plan and billing details.", "insufficient_quota"),
    said(400, "This organization has been disabled."),
    said(400, "Billing hard limit has been reached", "billing_hard_limit_reached"),
)
CANNOT = (
    said(400, "Invalid content type. image_url is only supported by certain models."),
    said(400, "This model does not support image input"),
    said(400, "Unsupported parameter: 'max_tokens' is not supported with this model.", "unsupported_parameter"),
    said(400, "registry.ollama.ai/library/gemma does not support tools"),
    said(422, "tools are not supported by this model"),
)

STATES = (
    said(400, "Previous response with id 'resp_1' not found.", "previous_response_not_found"),
    said(400, "The encrypted content gAAAA... could not be verified.", "invalid_encrypted_content"),
    said(404, "Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."),
    said(404, "No such File object: file-1"),
    said(404, "Container with id 'cntr_1' not found."),
)

ROWS: dict[str, list[Case]] = {
    "401, 402, 403; a 400 or 429 about billing, credit, quota, a spending limit or the key": [
        *((each, FIRST, NextRoute()) for each in (said(401), said(402), said(403), *MONEY)),
        *((each, OTHER_KEY, NextKey()) for each in (said(401), *MONEY)),
        (said(401), replace(OTHER_KEY, may_try=False), NextRoute()),
    ],
    "400 or 404 about a response, an item, a container or a file that it does not have": [
        case
        for each in STATES
        for case in ((each, OTHER_KEY, NextKey()), (each, FIRST, NextRoute()), (each, LAST, NextRoute()))
    ],
    "429": [
        (said(429, retry_after="10"), OTHER_KEY, NextKey()),
        (said(429, retry_after="10"), FIRST, Retry(10.0)),
        (said(429, retry_after="31"), FIRST, NextRoute()),
        (said(429, retry_after="31"), LAST, Retry(31.0)),
        (said(429, retry_after="601"), LAST, NextRoute()),
        (said(429), FIRST, NextRoute()),
        (said(429), LAST, Retry(0.5)),
        (said(429, retry_after="1"), SPENT, NextRoute()),
    ],
    "500": [(said(500), FIRST, Retry(0.5)), (said(500), AGAIN, NextRoute()), (said(500), SPENT, NextRoute())],
    "other 5xx, a 400 that says that the model is overloaded, no connection, reset, a cut or unreadable answer": [
        *(
            case
            for each in (*map(said, (502, 503, 504, 520, 522, 524, 529)), network_failure("x"), broken_failure("x"))
            for case in ((each, FIRST, Retry(0.5)), (each, AGAIN, NextRoute()))
        ),
        (said(503, retry_after="2"), FIRST, Retry(2.0)),
    ],
    "404, 405, 408, 409, 410, 421, 424, 425, 499, 501; a 400 about what this model cannot do": [
        (each, LAST, NextRoute()) for each in (*map(said, (404, 405, 408, 409, 410, 421, 424, 425, 499, 501)), *CANNOT)
    ],
    "nothing within the limit, or no output": [
        (silent_failure("x"), LAST, NextRoute()),
        (replace(silent_failure("x"), cause=Cause.SLOW), LAST, NextRoute()),
    ],
    "400 context length, 413": [
        (said(400, "This model's maximum context length is 8192 tokens"), LAST, NextRoute()),
        (said(413, "request_too_large"), FIRST, NextRoute()),
    ],
    "400 content filter": [
        (said(400, "x", "content_filter"), FIRST, Return()),
        (said(400, "x", "content_filter"), FILTERS_ROUTED, NextRoute()),
    ],
    "other 4xx": [
        (said(400, "Invalid schema for function 'get_quota'"), FIRST, Return()),
        (said(400, "messages: at least one message is required"), OTHER_KEY, Return()),
        (said(451), FIRST, Return()),
        (said(422, "tools.0: bad"), FIRST, Return()),
    ],
}


@pytest.mark.parametrize("row,cases", ROWS.items(), ids=ROWS)
def test_each_failure_has_the_decision_of_its_row(row: str, cases: list[Case]) -> None:
    for failure, memory, decision in cases:
        assert decide(memory, failure) == decision, (row, failure, memory)


def test_the_page_has_these_rows_in_this_order() -> None:
    section = PAGE.read_text("utf-8").partition("## What a failure means")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| ")]
    assert rows == ["The provider's answer", *ROWS, "every route failed"]
