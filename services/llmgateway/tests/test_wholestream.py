"""A whole answer as a stream says what it said: the collector, which makes whole answers of streams, gives it back."""

import json
from typing import Any

import pytest

from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import MalformedEventError
from agent_llmgateway.wire.collect import open_collector
from agent_llmgateway.wire.wholestream import events_of

CALLS = [
    {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": '{"n":1}'}}
    for n, name in enumerate("fg")
]
CHAT = {
    "id": "a",
    "model": "m",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "hi 👩‍💻",
                "refusal": None,
                "reasoning_content": "hm",
                "tool_calls": CALLS,
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 4},
}
MESSAGE = {
    "id": "a",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "hi 👩‍💻"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"n": [1]}},
        {"type": "redacted_thinking", "data": "x"},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4},
}


def there_and_back(dialect: str, answer: Any) -> Any:
    collector = open_collector(dialect)
    for block in EventScanner(1 << 20).feed(events_of(dialect, json.dumps(answer).encode())).blocks:
        data = read_data(block)
        assert data is not None
        collector.feed(data)
    return json.loads(collector.finish())


@pytest.mark.parametrize("dialect,answer", [("chat", CHAT), ("messages", MESSAGE)])
def test_a_whole_answer_comes_back_as_it_was(dialect: str, answer: Any) -> None:
    assert there_and_back(dialect, answer) == answer


@pytest.mark.parametrize("choice", [{"delta": {"content": "hi"}}, {"text": "hi"}, {"message": {"content": "hi"}}])
def test_nothing_that_was_said_is_left_out(choice: Any) -> None:
    made = there_and_back("chat", {"choices": [choice]})["choices"][0]
    assert (made["message"]["content"], made["finish_reason"]) == ("hi", "stop")


@pytest.mark.parametrize("dialect,body", [("responses", b"{}"), ("chat", b"[]"), ("messages", b'{"content":[7]}')])
def test_what_has_no_events_is_refused(dialect: str, body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        events_of(dialect, body)


@pytest.mark.parametrize("dialect", ["chat", "messages"])
def test_half_of_a_character_is_replaced(dialect: str) -> None:
    answer = {"choices": [{"message": {"content": "a \ud83d"}}], "content": [{"type": "text", "text": "a \ud83d"}]}
    assert "a \ufffd" in events_of(dialect, json.dumps(answer).encode()).decode()


def test_a_head_that_each_of_many_choices_would_repeat_is_refused() -> None:
    answer = {"pad": "x" * 10_000, "choices": [{}] * 1000}
    with pytest.raises(MalformedEventError, match="times as long"):
        events_of("chat", json.dumps(answer).encode())
    answer = {"pad": "x" * 10_000, "choices": [{"message": {"content": "hi"}}] * 8}
    assert events_of("chat", json.dumps(answer).encode()).count(b'"hi"') == 8
