"""Custom tools, namespaces and allowed tools of responses, over providers that have only functions."""

import json
from typing import Any

import pytest

from agent_kit.sse import EventScanner, read_data
from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.wire.answerstream import EVENT_LIMIT_BYTES
from agent_llmgateway.wire.translate import TRANSLATIONS, Target

Document = dict[str, Any]
TOOLS: list[Document] = [
    {"type": "function", "name": "shell", "parameters": {"type": "object"}},
    {"type": "custom", "name": "apply_patch", "description": "P", "format": {"type": "grammar", "definition": "x: y"}},
    {"type": "namespace", "name": "mcp__git", "tools": [{"type": "function", "name": "log"}]},
]  # fmt: skip


def ask(**more: Any) -> tuple[Document, Target]:
    target = Target("m", "openai-compatible")
    body = json.dumps({"model": "m", "input": "x", "tools": TOOLS, **more}).encode()
    return json.loads(TRANSLATIONS["responses", "chat"].request(body, target).body), target


def answered(target: Target, name: str, arguments: str) -> tuple[Document, Document]:
    """The item of a call, whole and as the end of a stream."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    choice = {"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
    whole = json.loads(TRANSLATIONS["responses", "chat"].answer(json.dumps({"choices": [choice]}).encode(), target))
    stream = TRANSLATIONS["responses", "chat"].stream(target, with_usage=True)
    chunk = {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    out = stream.feed(json.dumps(chunk).encode()) + stream.finish()
    events = [json.loads(data) for data in map(read_data, EventScanner(EVENT_LIMIT_BYTES).feed(out).blocks) if data]
    return whole["output"][0], events[-1]["response"]["output"][0]


def test_a_custom_tool_is_a_function_there_and_itself_again_here() -> None:
    chat, target = ask()
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["shell", "apply_patch", "mcp__git__log"]
    assert "x: y" in chat["tools"][1]["function"]["description"]
    for item in answered(target, "apply_patch", json.dumps({"input": "*** Begin\nPatch"})):
        assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "apply_patch", "*** Begin\nPatch")
    for item in answered(target, "mcp__git__log", "{}"):
        assert (item["type"], item["name"], item["namespace"]) == ("function_call", "log", "mcp__git")
    for item in answered(target, "shell", "{}"):
        assert (item["type"], item["name"]) == ("function_call", "shell")


def test_calls_of_such_tools_go_back_under_the_same_names() -> None:
    items = [
        {"type": "custom_tool_call", "call_id": "a", "name": "apply_patch", "input": "text"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
        {"type": "function_call", "call_id": "b", "name": "log", "namespace": "mcp__git", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "b", "output": [
            {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://example.com/a.png"},
        ]},
    ]  # fmt: skip
    chat, _ = ask(input=items)
    turns = chat["messages"]
    assert [turn["role"] for turn in turns] == ["assistant", "tool", "assistant", "tool", "user"]
    assert json.loads(turns[0]["tool_calls"][0]["function"]["arguments"]) == {"input": "text"}
    assert turns[2]["tool_calls"][0]["function"]["name"] == "mcp__git__log"
    assert turns[4]["content"][0]["type"] == "image_url"


def test_only_the_allowed_tools_are_offered() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "shell"}]}
    chat, _ = ask(tool_choice=choice)
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["shell"]
    assert chat["tool_choice"] == "required"


def test_a_forced_tool_of_a_namespace_is_forced_under_the_name_of_its_function() -> None:
    for name, flat in {"log": "mcp__git__log", "mcp__git__log": "mcp__git__log", "shell": "shell"}.items():
        chat, _ = ask(tool_choice={"type": "function", "name": name})
        assert chat["tool_choice"] == {"type": "function", "function": {"name": flat}}
        assert flat in [tool["function"]["name"] for tool in chat["tools"]]


def test_a_forced_tool_that_two_namespaces_have_is_refused() -> None:
    other = {"type": "namespace", "name": "svn", "tools": [{"type": "function", "name": "log"}]}
    with pytest.raises(NotCarriedError, match="more than one namespace has a tool `log`"):
        ask(tools=[*TOOLS, other], tool_choice={"type": "function", "name": "log"})
