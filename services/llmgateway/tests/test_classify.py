"""What the answers of providers mean."""

import json

import pytest

from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import read_event_failure, read_failure
from agent_llmgateway.wire.dialects import DIALECTS, Problem

NOW = 1_800_000_000.0

OPENAI_FILTER = {"error": {"message": "x", "code": "content_filter"}}
AZURE_FILTER = {"error": {"message": "triggering Azure OpenAI's content management policy", "code": "content_filter"}}


OPENAI_LIMIT = (
    "Rate limit reached for gpt-5 in organization org-x on tokens per min (TPM): Limit 30000, Used 29000. "
    "Please try again in 1.2s. You can increase your rate limit by adding a payment method at https://platform.openai.com/account/billing."
)
ANTHROPIC_LIMIT = (
    "This request would exceed your organization's rate limit of 50,000 input tokens per minute. "
    "You may also contact sales to discuss your usage limit."
)


@pytest.mark.parametrize("message", [OPENAI_LIMIT, ANTHROPIC_LIMIT])
def test_a_rate_limit_that_advertises_a_larger_one_is_no_empty_account(message: str) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    failure = read_failure(429, {"retry-after": "2"}, body, dialect="chat", now_epoch_s=NOW)
    assert (failure.cause, failure.retry_after_s) == (Cause.RATE_LIMIT, 2.0)
    assert read_failure(400, {}, body, dialect="chat", now_epoch_s=NOW).cause is Cause.KEY


@pytest.mark.parametrize(
    "message,cause",
    [
        ("The free tier of this model has been exhausted", Cause.KEY),
        ("Invalid access token", Cause.KEY),
        ("Model is overloaded, try again later", Cause.UNAVAILABLE),
        ("The service is temporarily unavailable", Cause.UNAVAILABLE),
        ("At most 0 image(s) may be provided in one request.", Cause.UNSUITED),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', Cause.UNSUITED),
        ("Extra inputs are not permitted", Cause.UNSUITED),
        ("Unrecognized request argument supplied: verbosity", Cause.UNSUITED),
        ("invalid model ID", Cause.UNSUITED),
        ("Your request was rejected as a result of our safety system.", Cause.FILTER),
        ("messages: text content blocks must be non-empty", Cause.REFUSED),
    ],
)
def test_words_of_servers_have_a_cause(message: str, cause: Cause) -> None:
    body = json.dumps({"error": {"message": message}}).encode()
    assert read_failure(400, {}, body, dialect="chat", now_epoch_s=NOW).cause is cause


@pytest.mark.parametrize(
    "status,document,cause",
    [
        (400, {"error": {"message": "This model's maximum context length is 8192 tokens"}}, Cause.CONTEXT),
        (400, {"type": "error", "error": {"message": "prompt is too long: 9 tokens > 8 maximum"}}, Cause.CONTEXT),
        (400, {"error": {"message": "no", "code": "context_length_exceeded"}}, Cause.CONTEXT),
        (400, OPENAI_FILTER, Cause.FILTER),
        (400, AZURE_FILTER, Cause.FILTER),
        (403, OPENAI_FILTER, Cause.FILTER),
        (400, {"error": {"message": "Output blocked by content filtering policy"}}, Cause.FILTER),
        (400, {"error": {"message": "bad tools"}}, Cause.REFUSED),
        (400, {"error": "plain text"}, Cause.REFUSED),
        (400, ["odd"], Cause.REFUSED),
        (400, None, Cause.REFUSED),
        (401, None, Cause.KEY), (402, None, Cause.KEY), (403, None, Cause.KEY), (429, None, Cause.RATE_LIMIT),
        (500, None, Cause.SERVER), (501, None, Cause.UNSUITED), (502, None, Cause.UNAVAILABLE),
        (522, None, Cause.UNAVAILABLE), (529, None, Cause.UNAVAILABLE), (302, None, Cause.UNAVAILABLE),
        (404, None, Cause.UNSUITED), (413, None, Cause.CONTEXT), (451, None, Cause.REFUSED),
    ],
)  # fmt: skip
def test_a_status_and_its_words_have_a_cause(status: int, document: object, cause: Cause) -> None:
    body = b"<html>" if document is None else json.dumps(document).encode()
    failure = read_failure(status, {"retry-after": "7"}, body, dialect="chat", now_epoch_s=NOW)
    assert failure.cause is cause
    assert failure.message
    assert failure.retry_after_s == (7.0 if cause in (Cause.RATE_LIMIT, Cause.UNAVAILABLE) else None)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "x \ud83d"},
        {"message": "x", "code": "\u00b2"},
        {"message": "x", "code": "4" * 5000},
        {"message": "x", "code": 10**4500},
        {"message": "x", "type": "\ud83d", "code": "\ud83d", "param": "\ud83d"},
        "\ud83d",
    ],
)
def test_whatever_an_error_holds_it_can_be_told(error: object) -> None:
    failure = read_event_failure(error, dialect="chat")
    assert failure.status == 502
    problem = Problem(failure.status, failure.message, failure.kind, failure.code, failure.param)
    for dialect in DIALECTS.values():
        json.loads(dialect.error_body(problem))


def test_a_status_in_words_is_one() -> None:
    assert read_event_failure({"message": "x", "code": "429"}, dialect="chat").status == 429
