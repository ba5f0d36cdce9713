"""Requests that were written for another model: what is changed, what is named, and what keeps its bytes."""

import json
from typing import Any

import pytest

from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.wire.envelope import read_envelope
from agent_llmgateway.wire.modelfit import fit_request
from agent_llmgateway.wire.translate import Target

Document = dict[str, Any]


def fit(dialect: str, target: Target, **fields: Any) -> Document:
    body = json.dumps({"model": target.model, **fields}).encode()
    envelope, body = read_envelope(body)
    fitted: Document = json.loads(fit_request(dialect, body, target, envelope))
    del fitted["model"]
    return fitted


@pytest.mark.parametrize(
    "dialect,model,given,then,dropped",
    [
        ("chat", "gpt-5", {"max_tokens": 100, "temperature": 0.2, "stop": ["x"]}, {"max_completion_tokens": 100},
         {"max_tokens", "temperature", "stop"}),
        ("chat", "gpt-5", {"temperature": 1, "top_p": 1, "logprobs": False}, {}, set()),
        ("chat", "gpt-5", {"reasoning_effort": "max"}, {"reasoning_effort": "xhigh"}, {"reasoning_effort"}),
        ("chat", "gpt-4o", {"max_completion_tokens": 64_000, "temperature": 0.2},
         {"max_completion_tokens": 16_384, "temperature": 0.2}, {"max_completion_tokens"}),
        ("chat", "gpt-4.1", {"reasoning_effort": "high", "verbosity": "low"}, {}, {"reasoning_effort", "verbosity"}),
        ("chat", "gpt-4.1", {"reasoning_effort": "none"}, {}, set()),
        ("chat", "of-nobody", {"max_tokens": 64_000, "reasoning_effort": "odd"},
         {"max_tokens": 64_000, "reasoning_effort": "odd"}, set()),
        ("responses", "gpt-5", {"temperature": 0.5, "top_logprobs": 3}, {}, {"temperature", "top_logprobs"}),
        ("responses", "gpt-4.1", {"reasoning": {"effort": "high"}, "include": ["reasoning.encrypted_content", "x"],
                                  "text": {"verbosity": "low", "format": {"type": "text"}}},
         {"include": ["x"], "text": {"format": {"type": "text"}}}, {"reasoning", "include", "text.verbosity"}),
        ("responses", "o3", {"reasoning": {"effort": "xhigh", "summary": "auto"}},
         {"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning.effort"}),
        ("responses", "gpt-4.1", {"max_output_tokens": 99_999}, {"max_output_tokens": 32_768}, {"max_output_tokens"}),
        ("messages", "claude-3-5-haiku-latest", {"max_tokens": 32_000, "thinking": {"type": "adaptive"},
                                                 "output_config": {"effort": "high"}},
         {"max_tokens": 8_192, "thinking": {"type": "disabled"}, "output_config": {}},
         {"max_tokens", "thinking", "output_config.effort"}),
        ("messages", "claude-opus-4-1",
         {"max_tokens": 64_000, "thinking": {"type": "enabled", "budget_tokens": 40_000}},
         {"max_tokens": 32_000, "thinking": {"type": "enabled", "budget_tokens": 16_000}}, {"max_tokens", "thinking"}),
        ("messages", "claude-sonnet-4-5", {"max_tokens": 8_000, "thinking": {"type": "adaptive"}},
         {"max_tokens": 8_000, "thinking": {"type": "enabled", "budget_tokens": 4_000}}, {"thinking"}),
        ("messages", "claude-opus-5", {"max_tokens": 8_000, "thinking": {"type": "adaptive"}},
         {"max_tokens": 8_000, "thinking": {"type": "adaptive"}}, set()),
    ],
)  # fmt: skip
def test_what_the_model_refuses_is_carried_in_the_nearest_form(
    dialect: str, model: str, given: Document, then: Document, dropped: set[str]
) -> None:
    target = Target(model, "anthropic" if dialect == "messages" else "openai")
    assert fit(dialect, target, **given) == then
    assert set(target.dropped) == dropped


def test_a_server_that_is_not_the_vendor_takes_any_effort_of_models_that_nobody_knows() -> None:
    target = Target("mine", "openai-compatible", is_vendor=False)
    assert fit("chat", target, reasoning_effort="high", temperature=0.2) == {
        "reasoning_effort": "high",
        "temperature": 0.2,
    }


def test_settings_hold_for_models_that_nobody_knows() -> None:
    target = Target("mine", "openai-compatible", {"maxOutputTokens": 100, "tokenLimitField": "max_tokens"})
    assert fit("chat", target, max_completion_tokens=500) == {"max_tokens": 100}
    thinks = Target("mine", "openai-compatible", {"reasoning": True})
    assert fit("chat", thinks, max_tokens=500, temperature=0.2) == {"max_completion_tokens": 500}


def test_what_needs_no_change_keeps_its_bytes() -> None:
    body = b'{ "model":"gpt-4o",  "max_tokens": 1e2, "messages": [{"role": "user", "content": "\\u0041 \\"stop\\""}] }'
    envelope, _ = read_envelope(body)
    assert fit_request("chat", body, Target("gpt-4o"), envelope) is body


def test_the_rest_of_a_changed_request_keeps_its_bytes() -> None:
    turns = b'[{"role": "user", "content": "\\u00e9 1.50"}]'
    body = b'{"model":"gpt-4o","max_tokens":64000,"messages":' + turns + b"}"
    envelope, _ = read_envelope(body)
    assert turns in fit_request("chat", body, Target("gpt-4o"), envelope)


def test_a_strict_provider_refuses_instead() -> None:
    with pytest.raises(NotCarriedError, match="max_tokens"):
        fit("chat", Target("gpt-4o", options={"translation": "strict"}), max_tokens=64_000)
