"""Attributes of spans against whatever an agent sends as parameters."""

import json
from typing import Any

import pytest
from yarl import URL

from agent_api.providers import Dialect
from agent_llmgateway.failover.attempts import Answer
from agent_llmgateway.failover.dependencies import RoutedAnswer
from agent_llmgateway.http.spans import answer_attributes, request_attributes
from agent_llmgateway.wire.call import Call, WireRequest
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.envelope import read_envelope
from agent_llmgateway.wire.usage import Usage


def call(dialect: Dialect = "chat", **fields: Any) -> Call:
    envelope, body = read_envelope(json.dumps({"model": "m", **fields}).encode())
    stream = envelope.stream is True
    return Call(DIALECTS[dialect], body, envelope, "m", stream, "live", {})


def test_parameters_have_the_names_of_the_conventions() -> None:
    asked = call(
        temperature=0.5,
        top_p=1,
        top_k=40,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        seed=7,
        n=2,
        stop=["a", "b"],
        max_completion_tokens=100,
        stream=True,
        response_format={"type": "json_schema"},
    )

    assert request_attributes("chat", asked) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 1.0,
        "gen_ai.request.top_k": 40.0,
        "gen_ai.request.frequency_penalty": 0.1,
        "gen_ai.request.presence_penalty": 0.2,
        "gen_ai.request.seed": 7,
        "gen_ai.request.choice.count": 2,
        "gen_ai.request.stop_sequences": ("a", "b"),
        "gen_ai.output.type": "json",
    }


def test_other_dialects_have_their_own_words() -> None:
    response = call("responses", text={"format": {"type": "json_object"}}, conversation={"id": "conv_1"})
    found = request_attributes("chat", response)
    assert (found["gen_ai.output.type"], found["gen_ai.conversation.id"]) == ("json", "conv_1")
    assert request_attributes("chat", call("messages", stop_sequences=["x"]))["gen_ai.request.stop_sequences"] == ("x",)


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": "hot", "seed": 2**70, "top_k": True, "stop": {"a": 1}, "response_format": "json"},
        {"seed": -(2**70), "stop": [1, None], "response_format": {"type": ["x"]}, "conversation": [1]},
        {"temperature": 1e300, "text": {"format": 3}, "conversation": {"id": {}}},
    ],
)
def test_parameters_of_other_types_are_left_out(fields: dict[str, Any]) -> None:
    assert request_attributes("chat", call(**fields)) == {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


def test_long_texts_are_cut() -> None:
    found = request_attributes("chat", call(stop=["x" * 10_000] * 100, conversation="c" * 10_000))
    stops = found["gen_ai.request.stop_sequences"]
    assert isinstance(stops, tuple)
    assert (len(stops), len(stops[0]), len(str(found["gen_ai.conversation.id"]))) == (8, 64, 256)


def routed(answer: Answer) -> RoutedAnswer:
    wire = WireRequest(URL("https://api.example.com/v1/chat/completions"), b"", {}, DIALECTS["chat"])
    plan = type("Plan", (), {"route": type("Route", (), {"provider": "backup", "model": "asked"})})
    return RoutedAnswer(answer, plan, wire, None, [], 0.0)  # type: ignore[arg-type]


def test_an_answer_tells_who_gave_it_and_what_it_took() -> None:
    answer = Answer({}, b'{"id": "chatcmpl-1"}', model="made", finish_reason="stop")

    assert answer_attributes("openai", routed(answer), Usage(10, 5, 4, 2, 3), 0.5) == {
        "gen_ai.response.model": "made",
        "gen_ai.provider.name": "openai",
        "agentberth.provider": "backup",
        "server.address": "api.example.com",
        "server.port": 443,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.time_to_first_chunk": 0.5,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 3,
    }


@pytest.mark.parametrize("body", [b"[]", b"\xff", b'{"id": 3}', b"{"])
def test_an_answer_that_is_not_read_has_no_id(body: bytes) -> None:
    found = answer_attributes("openai", routed(Answer({}, body)), None, None)
    assert "gen_ai.response.id" not in found
    assert found["gen_ai.response.model"] == "asked"
