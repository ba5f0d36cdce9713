"""What a backup left in a conversation, when it goes on with the main provider; and nothing else is touched."""

import json
from typing import Any

import pytest

from agent_api.gatewayconfig import GatewayProvider
from agent_api.providers import PROVIDERS
from agent_llmgateway.config.providerset import Provider
from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.http.prepare import prepare_wire
from agent_llmgateway.mock import answers
from agent_llmgateway.mock.script import Reply
from agent_llmgateway.upstream.keys import open_pool
from agent_llmgateway.upstream.providers import paths_of
from agent_llmgateway.wire.call import Call
from agent_llmgateway.wire.dialects import DIALECTS
from agent_llmgateway.wire.envelope import read_envelope
from agent_llmgateway.wire.foreignitems import clean_request
from agent_llmgateway.wire.itemstore import ItemStore
from agent_llmgateway.wire.translate import TRANSLATIONS, Target
from agent_llmgateway.wire.translate.answers.items import MARK
from agent_llmgateway.wire.translate.toolids import CallIds
from agent_llmgateway.wire.translate.words import UNSIGNED

Document = dict[str, Any]
ODD_ID = "functions.get_weather:0"


def chat_answer(**reply: Any) -> bytes:
    made = Reply.model_validate(reply)
    return json.dumps(answers.chat_answer(made, made.text, "m")).encode()


def clean(dialect: str, document: Document, target: Target) -> Document:
    result: Document = json.loads(clean_request(dialect, json.dumps(document).encode(), target))
    return result


def test_what_the_provider_made_itself_is_untouched_to_the_byte() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": "EqoBCkgIARAB"}
    use = {"type": "tool_use", "id": "toolu_01", "name": "f", "input": {}}
    bodies: dict[str, Document] = {
        "messages": {"thinking": {"type": "enabled"}, "messages": [
            {"role": "assistant", "content": [thinking, use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01"}]},
        ]},
        "chat": {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "thinking"}]},
        "responses": {"input": [{"type": "reasoning", "id": "rs_1"}, {"type": "item_reference", "id": "msg_1"}]},
    }  # fmt: skip
    for dialect, document in bodies.items():
        body = json.dumps(document, indent=1).encode()
        target = Target("m")
        assert clean_request(dialect, body, target) is body
        assert target.dropped == ()


def test_thoughts_and_ids_of_a_backup_are_taken_by_anthropic() -> None:
    made = chat_answer(reasoning="hm", tool_calls=[{"id": ODD_ID, "name": "f", "arguments": {}}])
    message = json.loads(TRANSLATIONS["messages", "chat"].answer(made, Target("m")))
    call = next(block for block in message["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "x"}
    document = {
        "model": "m",
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": [result]},
        ],
    }
    target = Target("m", "anthropic")
    cleaned = clean("messages", document, target)
    assert [block["type"] for block in cleaned["messages"][1]["content"]] == ["tool_use"]
    assert cleaned["messages"][1]["content"][0]["id"] == cleaned["messages"][2]["content"][0]["tool_use_id"]
    assert cleaned["messages"][1]["content"][0]["id"].replace("_", "").isalnum()
    assert cleaned["thinking"] == {"type": "disabled"}
    assert cleaned["context_management"] == {"edits": []}
    assert "thinking" in target.dropped


@pytest.mark.parametrize("signature", [{}, {"signature": ""}, {"signature": None}])
def test_thoughts_without_a_valid_signature_are_taken_out(signature: Document) -> None:
    blocks = [{"type": "thinking", "thinking": "hm", **signature}, {"type": "text", "text": "t"}]
    cleaned = clean("messages", {"messages": [{"role": "assistant", "content": blocks}]}, Target("m"))
    assert cleaned["messages"][0]["content"] == [{"type": "text", "text": "t"}]


@pytest.mark.parametrize("base_url", ["http://vllm:8000", "https://api.deepseek.com/anthropic"])
def test_thoughts_that_another_server_with_that_dialect_does_not_sign_are_its_own(base_url: str) -> None:
    own = {"type": "thinking", "thinking": "hm"}
    use = {"type": "tool_use", "id": "toolu_01", "name": "f", "input": {}}
    document = thinking_request([own, use])
    assert sent_to(base_url, document) == document
    marked = sent_to(base_url, thinking_request([{**own, "signature": UNSIGNED}, own, use]))
    assert marked == document
    foreign = sent_to(base_url, thinking_request([{**own, "signature": UNSIGNED}, use]))
    assert foreign["messages"][1]["content"] == [use]
    for anthropic in ("", "https://api.anthropic.com", "https://api.anthropic.com/v1"):
        sent = sent_to(anthropic, document)
        assert sent["messages"][1]["content"] == [use]
        assert sent["thinking"] == {"type": "disabled"}


def thinking_request(said: list[Document]) -> Document:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_01"}]},
    ]
    return {"model": "m", "max_tokens": 9, "thinking": {"type": "enabled"}, "messages": messages}


def sent_to(base_url: str, document: Document) -> Document:
    """What a provider of type anthropic is sent for a request in its dialect."""
    config = GatewayProvider.model_validate({"name": "p", "type": "anthropic", "baseUrl": base_url})
    address = config.base_url or PROVIDERS["anthropic"].address
    pool = open_pool(None, needs_key=False, register=lambda _: None, interval_s=1.0)
    provider = Provider(config, address, paths_of("anthropic", {}), pool)
    body = json.dumps(document).encode()
    envelope, _ = read_envelope(body)
    call = Call(DIALECTS["messages"], body, envelope, "m", stream=False, delivery="live", headers={})
    sent: Document = json.loads(prepare_wire(call, provider, "m", ItemStore()).body)
    return sent


def test_ids_that_anthropic_refuses_are_exchanged_in_calls_and_results_alike() -> None:
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": ODD_ID, "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": ODD_ID}]},
    ]
    cleaned = clean("messages", {"messages": messages}, Target("m"))["messages"]
    assert cleaned[0]["content"][0]["id"] == cleaned[1]["content"][0]["tool_use_id"] != ODD_ID


def test_long_ids_are_exchanged_for_openai() -> None:
    long = "c" * 65
    call = {"id": long, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": long, "content": "x"}]
    cleaned = clean("chat", {"messages": messages}, Target("m"))["messages"]
    assert cleaned[0]["tool_calls"][0]["id"] == cleaned[1]["tool_call_id"]
    assert len(cleaned[1]["tool_call_id"]) <= 40
    assert clean("chat", {"messages": messages}, Target("m", "openai-compatible"))["messages"] == messages


def test_items_of_the_gateway_are_understood_by_reference_and_not_sent_as_openais() -> None:
    target = Target("m")
    made = chat_answer(reasoning="hm", text="said")
    response = json.loads(TRANSLATIONS["responses", "chat"].answer(made, target))
    reasoning, message = response["output"]
    items = [
        {"type": "item_reference", "id": reasoning["id"]},
        {"type": "item_reference", "id": message["id"]},
        reasoning,
        {"role": "user", "content": "go on"},
    ]
    cleaned = clean("responses", {"input": items}, target)["input"]
    assert [item.get("type", item.get("role")) for item in cleaned] == ["message", "user"]
    assert "id" not in cleaned[0]
    assert cleaned[0]["content"][0]["text"] == "said"
    body = json.dumps({"model": "m", "input": items}).encode()
    chat = json.loads(TRANSLATIONS["responses", "chat"].request(body, target).body)
    assert [turn["role"] for turn in chat["messages"]] == ["assistant", "user"]


def test_items_that_are_gone_are_an_error_that_names_them() -> None:
    for change in (
        {"input": [{"type": "item_reference", "id": "msg_agb123_0"}]},
        {"previous_response_id": "resp_agb1"},
    ):
        with pytest.raises(NotCarriedError) as refused:
            clean("responses", change, Target("m"))
        assert refused.value.param


def test_thoughts_that_another_server_wrote_into_completions_are_not_shown_to_openai() -> None:
    turn = {"role": "assistant", "content": "hi", "reasoning_content": "hm", "reasoning": "hm"}
    document = {"messages": [{"role": "user", "content": "x"}, turn]}
    target = Target("m")
    assert clean("chat", document, target)["messages"][1] == {"role": "assistant", "content": "hi"}
    assert set(target.dropped) == {"messages[].reasoning_content", "messages[].reasoning"}
    for other in (Target("m", is_vendor=False), Target("m", "openai-compatible", is_vendor=False)):
        assert clean("chat", document, other) == document


def test_calls_of_another_provider_need_no_thoughts_before_them() -> None:
    use = {"type": "tool_use", "id": "call_1", "name": "f", "input": {}}
    document = {
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [
            {"role": "assistant", "content": [{"type": "text", "text": "let me look"}, use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "x"}]},
        ],
    }
    target = Target("m")
    assert clean("messages", document, target)["thinking"] == {"type": "disabled"}
    assert target.dropped == ("thinking",)
    assert clean("messages", document, Target("m", is_vendor=False)) == document


def test_other_servers_are_told_instructions_by_the_name_that_they_know() -> None:
    document = {"messages": [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "developer"}]}
    target = Target("m", "openai-compatible")
    assert [turn["role"] for turn in clean("chat", document, target)["messages"]] == ["system", "user"]
    assert target.dropped == ("messages[].role",)
    for other in (Target("m"), Target("m", "openai-compatible", {"developerRole": True})):
        assert clean("chat", document, other) == document


@pytest.mark.parametrize("odd", [5, True, [1], {"a": 1}, "a b", ["a", "b"], [5]])
def test_fields_of_another_type_are_left_to_the_provider(odd: Any) -> None:
    """What is no request of its API is refused there, with its words; here it breaks nothing."""
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a b", "content": ""}]}
    turn = {"role": "tool", "tool_call_id": odd, "reasoning": "x", "tool_calls": odd, "content": odd}
    calls = {"role": "assistant", "tool_calls": [{"id": odd}, odd]}
    thinking = {"type": "enabled"}
    management = {"edits": [odd, {"type": odd}]}
    use = {"role": "assistant", "content": [odd, {"type": "tool_use", "id": "a b"}]}
    short = Target("m", "openai-compatible", {"toolIds": "short"})
    vendor = Target("m", "openai", is_vendor=True)
    anthropic = Target("m", "anthropic", is_vendor=True)
    for target in (vendor, short):
        clean("chat", {"messages": [turn, calls, odd], "model": "m"}, target)
    clean("messages", {"thinking": thinking, "context_management": management, "messages": [use, result]}, anthropic)
    items = [{"call_id": odd, "type": "function_call"}, {"type": "x", "id": "_" + MARK}, odd]
    assert clean("responses", {"input": items}, vendor)["input"] == [items[0], {"type": "x"}, odd]


@pytest.mark.parametrize("call_id", ["", "call_0", ODD_ID])
def test_results_of_calls_with_one_id_belong_to_them_in_order(call_id: str) -> None:
    ids = CallIds()
    calls = [ids.of_call(call_id), ids.of_call(call_id)]
    assert len(set(calls)) == 2
    assert [ids.of_result(call_id), ids.of_result(call_id)] == calls
    third = ids.of_call(call_id)
    assert third not in calls
    assert [ids.of_result(call_id), ids.of_result(call_id)] == [third, third]
