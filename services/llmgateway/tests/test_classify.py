"""What the answers of providers mean."""

import json

import pytest

from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import read_failure

NOW = 1_800_000_000.0

OPENAI_FILTER = {"error": {"message": "x", "code": "content_filter"}}
AZURE_FILTER = {"error": {"message": "triggering Azure OpenAI's content management policy", "code": "content_filter"}}


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
