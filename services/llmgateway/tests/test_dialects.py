"""What all dialects have in common."""

import json
from typing import Any

import pytest

from agent_kit.sse import EventReader
from agent_llmgateway.wire.dialects import DIALECTS, Dialect, Problem

PROBLEM = Problem(
    503, "no provider answered", "overloaded_error", "all_providers_failed", "model", ({"provider": "main"},)
)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_an_error_has_the_same_fields_in_a_stream_and_in_a_whole_answer(dialect: Dialect) -> None:
    whole = fields_of(json.loads(dialect.error_body(PROBLEM)))
    (event,) = EventReader(1 << 16).feed(dialect.error_event(PROBLEM))
    streamed = fields_of(json.loads(event.data))
    assert whole == {name: streamed[name] for name in whole}
    assert PROBLEM.message in whole.values()
    assert list(PROBLEM.attempts) in whole.values()


def fields_of(document: dict[str, Any]) -> dict[str, Any]:
    """The error itself: of a document that has one, or the document (an error event of the Responses API)."""
    error: dict[str, Any] = document.get("error") or document
    return error
