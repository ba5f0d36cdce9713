import json
from typing import Any

import pytest

from agent_llmgateway.wire.tokencount import PICTURE_TOKENS, estimate_tokens


def estimate(content: Any) -> int:
    return estimate_tokens(json.dumps({"messages": [{"role": "user", "content": content}]}).encode())


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"type": {"type": "string"}}},
        {"type": ["string", "null"]},
        {"type": {"const": 1}},
        {"type": None},
    ],
)
def test_a_schema_may_have_any_type(schema: dict[str, Any]) -> None:
    body = {"messages": [], "tools": [{"name": "f", "input_schema": schema}]}
    assert 1 <= estimate_tokens(json.dumps(body).encode()) < 100


def test_a_picture_counts_as_one_whatever_its_size() -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 1_000_000}}
    assert PICTURE_TOKENS <= estimate([picture]) < PICTURE_TOKENS + 100


def test_the_text_of_a_document_is_counted_as_text() -> None:
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "A" * 400_000}}
    assert estimate([document]) > 90_000
