"""Requests that clients and models are known to make, at each type of provider: taken as they are, or carried.

What a provider would be sent is judged by its strict rules; a request that it would refuse is the test's failure.
"""

import json
import re
from typing import Any

import pytest
from contract.llmgateway.strict.route import MODELS, StrictRoute
from contract.llmgateway.strict.rule import Document

from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.wire.call import WireRequest
from agent_llmgateway.wire.itemstore import ItemStore

OBJECT = {"type": "object", "properties": {}}
CHAT_TOOLS = [{"type": "function", "function": {"name": "look", "parameters": OBJECT}}]
TOOLS = [{"name": "look", "input_schema": OBJECT}]
FUNCTIONS = [{"type": "function", "name": "look", "parameters": OBJECT}]
PIXEL = "iVBORw0KGgo="


def user(content: Any) -> Document:
    return {"role": "user", "content": content}


def called(arguments: str = "{}", call_id: str = "call_0") -> list[Document]:
    """A call and its result, as chat completions have them."""
    call = {"id": call_id, "type": "function", "function": {"name": "look", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": call_id, "content": "seen"}
    return [{"role": "assistant", "content": None, "tool_calls": [call]}, result]


def used(call_id: str = "call_0", result: Any = "seen") -> list[Document]:
    """The same as messages."""
    block = {"type": "tool_use", "id": call_id, "name": "look", "input": {}}
    answer = {"type": "tool_result", "tool_use_id": call_id, "content": result}
    return [{"role": "assistant", "content": [block]}, user([answer])]


def chat(*turns: Document, **more: Any) -> Document:
    return {"model": "m", "messages": list(turns), **more}


def messages(*turns: Document, **more: Any) -> Document:
    return {"model": "m", "max_tokens": 100, "messages": list(turns), **more}


def answer_by(schema: Document) -> Document:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


SCHEMA = {"type": "object", "properties": {"day": {"type": "string", "minLength": 1}, "minimum": {"type": "integer"}}}
FOUND = {"type": "search_result", "source": "a", "title": "b", "content": [{"type": "text", "text": "c"}]}
CASES: dict[str, tuple[str, Document]] = {
    "numbered calls, chat": ("chat", chat(user("a"), *called(), *called(), tools=CHAT_TOOLS)),
    "numbered calls, messages": ("messages", messages(user("a"), *used(), *used(), tools=TOOLS)),
    "numbered calls, responses": (
        "responses",
        {
            "model": "m",
            "tools": FUNCTIONS,
            "input": [
                {"type": "function_call", "call_id": "call_0", "name": "look", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "call_0", "output": "seen"},
            ]
            * 2,
        },
    ),
    "calls, but no tools any more": ("chat", chat(user("a"), *called(), user("sum up"))),
    "an open schema": ("chat", chat(user("a"), response_format=answer_by(SCHEMA))),
    "nested schemas": ("chat", chat(user("a"), response_format=answer_by({"anyOf": [SCHEMA, {"type": "null"}]}))),
    "instructions in the middle": (
        "chat",
        chat(user("a"), {"role": "assistant", "content": "b"}, {"role": "developer", "content": "c"}, user("d")),
    ),
    "properties that need not be there": (
        "messages",
        messages(
            user("a"),
            output_config={"format": {"type": "json_schema", "schema": {**SCHEMA, "additionalProperties": False}}},
            tools=[{"name": "look", "strict": True, "input_schema": {**SCHEMA, "additionalProperties": False}}],
        ),
    ),
    "what was found": ("messages", messages(user("a"), *used(result=[FOUND]), user([FOUND]), tools=TOOLS)),
}
FOR_BACKUPS: dict[str, tuple[str, Document]] = {
    "arguments that are no object": ("chat", chat(user("a"), *called("[1]"), tools=CHAT_TOOLS)),
    "arguments that are no JSON": ("chat", chat(user("a"), *called('{"city": '), tools=CHAT_TOOLS)),
    "base64 in lines": (
        "chat",
        chat(user([{"type": "image_url", "image_url": {"url": f"data:image/PNG;base64,{PIXEL[:4]}\r\n{PIXEL[4:]}"}}])),
    ),
    "empty lists": ("messages", messages(user("a"), mcp_servers=[])),
}
"""What the client's own provider may refuse, so that it is tried where it is translated alone."""


def carry(kind: str, dialect: str, document: Document) -> WireRequest:
    return StrictRoute(kind).prepare(dialect, document, ItemStore())


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_no_provider_refuses_it(kind: str, case: str) -> None:
    assert carry(kind, *CASES[case]).body


@pytest.mark.parametrize("case", FOR_BACKUPS)
def test_a_backup_takes_it(case: str) -> None:
    dialect, document = FOR_BACKUPS[case]
    assert carry("anthropic" if dialect == "chat" else "openai", dialect, document).body


def test_what_had_to_change_is_named() -> None:
    assert carry("anthropic", *CASES["an open schema"]).dropped == ("response_format.json_schema.schema.minLength",)
    dropped = carry("anthropic", *FOR_BACKUPS["arguments that are no JSON"]).dropped
    assert dropped == ("messages[].tool_calls[].function.arguments",)


@pytest.mark.parametrize("properties", [True, {"type": "integer"}])
def test_an_object_of_any_properties_is_refused_by_its_field(properties: Any) -> None:
    schema = {"type": "object", "properties": {"map": {"type": "object", "additionalProperties": properties}}}
    with pytest.raises(NotCarriedError, match="any properties") as refused:
        carry("anthropic", "chat", chat(user("a"), response_format=answer_by(schema)))
    assert refused.value.param == "response_format.json_schema.schema"


@pytest.mark.parametrize("turn", [None, {}, {"role": "system"}, {"role": "system", "content": [{"type": "text"}]}, "x"])
def test_turns_that_nobody_can_read_are_the_providers_to_refuse(turn: Any) -> None:
    document = chat({"role": "developer", "content": "a"}, turn)
    sent = StrictRoute("openai-compatible").wire("chat", document, ItemStore()).body
    assert json.loads(sent)["messages"] == [{"role": "system", "content": "a"}, turn]


SHORT = "123456789"


@pytest.mark.parametrize(
    "dialect,document",
    [
        ("chat", chat(user("a"), *called(call_id="call_abc"), *called(call_id=SHORT), tools=CHAT_TOOLS)),
        ("messages", messages(user("a"), *used("toolu_abc"), *used(SHORT), tools=TOOLS)),
    ],
)
def test_a_server_with_short_ids_gets_them(dialect: str, document: Document) -> None:
    """Mistral; calls and results stay together, and an id that fits is kept."""
    route = StrictRoute("openai-compatible")
    route.provider.learn(route.model, {"toolIds": "short"})
    turns = json.loads(route.prepare(dialect, document, ItemStore()).body)["messages"]
    ids = [call["id"] for turn in turns for call in turn.get("tool_calls") or ()]
    assert ids == [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"]
    assert all(re.fullmatch("[A-Za-z0-9]{9}", each) for each in ids)
    assert (len(set(ids)), ids[1]) == (2, SHORT)
