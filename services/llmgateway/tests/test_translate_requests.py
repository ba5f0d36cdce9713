"""Requests there and back again: no argument, id, order or role is lost; what cannot be carried is refused by name."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_llmgateway.errors import NotCarriedError
from agent_llmgateway.wire.dialects import DialectName
from agent_llmgateway.wire.translate import TRANSLATIONS, Target, TranslatedRequest

Document = dict[str, Any]
THINKS = "claude-opus-4-6"


def translate(
    client: DialectName, provider: DialectName, body: bytes, model: str, options: Document
) -> TranslatedRequest:
    kind = options.get("type", "anthropic" if provider == "messages" else "openai")
    return TRANSLATIONS[client, provider].request(body, Target(model, kind, options))


def chat_to_messages(body: bytes, model: str, options: Document) -> TranslatedRequest:
    return translate("chat", "messages", body, model, options)


def messages_to_chat(body: bytes, model: str, options: Document) -> TranslatedRequest:
    return translate("messages", "chat", body, model, options)


def responses_to_chat(body: bytes, model: str, options: Document) -> TranslatedRequest:
    return translate("responses", "chat", body, model, options)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20).map(
    lambda text: f"<{text}>"  # neither empty nor white space at its end
)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,20}", fullmatch=True)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | WORDS
OBJECTS = st.dictionaries(
    WORDS, st.recursive(LEAVES, lambda x: st.lists(x, max_size=3) | st.dictionaries(WORDS, x, max_size=3), max_leaves=6)
)
IMAGES = st.sampled_from(["https://example.com/a.png", "data:image/png;base64,aGVsbG8="])


@st.composite
def call_turns(draw: st.DrawFn) -> list[Document]:
    """Parallel calls, and their results in the same order."""
    count = draw(st.integers(1, 3))
    ids = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    calls = [
        {"id": i, "type": "function", "function": {"name": draw(NAMES), "arguments": json.dumps(draw(OBJECTS))}}
        for i in ids
    ]
    text = draw(st.none() | WORDS)
    content = None if text is None else [{"type": "text", "text": text}]
    results = [{"role": "tool", "tool_call_id": i, "content": draw(WORDS)} for i in ids]
    return [{"role": "assistant", "content": content, "tool_calls": calls}, *results]


def with_own_ids(turn: Document, place: int) -> Document:
    """A call that has the id of an earlier one gets another one."""
    if "tool_call_id" in turn:
        return {**turn, "tool_call_id": f"{turn['tool_call_id']}_{place}"}
    if "tool_calls" in turn:
        return {**turn, "tool_calls": [{**call, "id": f"{call['id']}_{place}"} for call in turn["tool_calls"]]}
    return turn


USER_PARTS = st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS)
    | st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, IMAGES),
    min_size=1,
    max_size=3,
)
TURNS = st.lists(
    st.builds(lambda content: [{"role": "user", "content": content}], WORDS | USER_PARTS)
    | st.builds(lambda text: [{"role": "assistant", "content": text}], WORDS)
    | call_turns(),
    max_size=5,
).map(lambda groups: [with_own_ids(turn, place) for place, group in enumerate(groups) for turn in group])
TOOLS = st.lists(
    st.builds(
        lambda name, text, schema: {
            "type": "function",
            "function": {
                "name": name,
                "parameters": {"type": "object", **schema},
                **({"description": text} if text else {}),
            },
        },
        NAMES,
        st.none() | WORDS,
        OBJECTS,
    ),
    min_size=1,
    max_size=3,
)
CHAT = st.fixed_dictionaries(
    {
        "messages": TURNS.map(lambda turns: [{"role": "user", "content": "first"}, *turns]),
        "max_completion_tokens": st.integers(1, 9999),
    },
    optional={
        "temperature": st.sampled_from([0.0, 0.5, 1.0]),
        "stop": st.lists(WORDS, min_size=1, max_size=3),
        "stream": st.just(value=False),
        "user": WORDS,
        "tools": TOOLS,
        "reasoning_effort": st.sampled_from(["low", "medium", "high", "xhigh", "max"]),
    },
)


@given(CHAT, st.lists(WORDS, max_size=2))
@settings(max_examples=300, deadline=None)
def test_a_chat_request_comes_back_as_it_was(document: Document, system: list[str]) -> None:
    heads = [{"role": "system", "content": text} for text in system]
    if "tools" in document:
        document = {**document, "tool_choice": {"type": "function", "function": {"name": "f"}}}
    document = {"model": "m", **document, "messages": [*heads, *document["messages"]]}
    there = chat_to_messages(json.dumps(document).encode(), THINKS, {})
    assert there.dropped == ()
    back = json.loads(messages_to_chat(there.body, "m", {}).body)
    if "tools" not in document and back.get("tools"):  # the messages API wants those that calls are of
        assert back.pop("tool_choice") == "none"
        assert {tool["function"]["name"] for tool in back.pop("tools")} == called_in(document)
    assert normal(back) == normal(document)


def called_in(document: Document) -> set[str]:
    return {call["function"]["name"] for turn in document["messages"] for call in turn.get("tool_calls") or ()}


def normal(document: Document) -> Document:
    """Where both say the same in two ways: text is a list of parts, arguments are what they mean."""
    turns: list[Document] = []
    for turn in document["messages"]:
        content = turn.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
        calls = [
            (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in turn.get("tool_calls", ())
        ]
        if turns and turn["role"] != "tool" and turns[-1]["role"] == turn["role"]:  # they follow each other
            turns[-1]["parts"] += parts
            turns[-1]["calls"] += calls
        else:
            known = {"role": turn["role"], "parts": list(parts), "calls": calls, "of": turn.get("tool_call_id")}
            turns.append(known)
    rest = {name: value for name, value in document.items() if name != "messages"}
    return {**rest, "messages": turns}


@given(OBJECTS, st.sampled_from([None, 1, "\t"]))
def test_arguments_and_schemas_keep_their_bytes(value: Document, indent: Any) -> None:
    arguments = json.dumps(value, indent=indent)
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]}]
    there = chat_to_messages(json.dumps({"model": "m", "messages": messages}).encode(), "m", {})
    assert arguments.encode() in there.body
    back = json.loads(messages_to_chat(there.body, "m", {}).body)
    assert back["messages"][1]["tool_calls"][0]["function"]["arguments"] == arguments


MESSAGES_ONLY = {
    "model": "m",
    "max_tokens": 10,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "stop_sequences": ["x"],
    "metadata": {"user_id": "u"},
    "thinking": {"type": "enabled", "budget_tokens": 9000},
    "tools": [{"name": "f", "input_schema": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    "messages": [
        {"role": "user", "content": "one"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "t"},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1.50}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "1",
                    "is_error": True,
                    "content": [{"type": "text", "text": "no"}],
                },
                {"type": "text", "text": "again"},
            ],
        },
    ],
}


def test_a_messages_request_says_the_same_in_chat() -> None:
    translated = messages_to_chat(json.dumps(MESSAGES_ONLY).encode(), "gpt", {"type": "openai-compatible"})
    assert set(translated.dropped) == {"cache_control", "thinking", "reasoning_effort"}
    chat = json.loads(translated.body)
    assert [turn["role"] for turn in chat["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert chat["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"a": 1.5}'
    assert chat["messages"][3]["content"].endswith("no")
    assert (chat["max_tokens"], chat["stop"], chat["user"]) == (10, ["x"], "u")
    assert chat["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert chat["parallel_tool_calls"] is False
    assert chat["tools"][0]["function"]["strict"] is False, "an open object is none that OpenAI takes as strict"
    assert chat["response_format"]["json_schema"]["schema"] == {"type": "object"}
    back = json.loads(chat_to_messages(translated.body, "m", {}).body)
    assert back["messages"][2]["content"][0] == {
        "type": "tool_result",
        "tool_use_id": "1",
        "is_error": True,
        "content": "no",
    }
    assert back["tool_choice"] == MESSAGES_ONLY["tool_choice"]


def test_streams_to_chat_ask_for_usage() -> None:
    body = json.dumps({"model": "m", "max_tokens": 1, "messages": [], "stream": True}).encode()
    assert json.loads(messages_to_chat(body, "m", {}).body)["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "change,param",
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]},
            "messages[0].content[0].type",
        ),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_what_messages_have_no_place_for_is_refused_by_name(change: Document, param: str) -> None:
    document = {"model": "m", "messages": [{"role": "user", "content": "x"}], **change}
    with pytest.raises(NotCarriedError) as refused:
        chat_to_messages(json.dumps(document).encode(), "m", {})
    assert refused.value.param == param
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "name,neutral",
    [
        ("n", 1),
        ("frequency_penalty", 0),
        ("logprobs", False),
        ("seed", None),
        ("modalities", ["text"]),
        ("logit_bias", {}),
    ],
)
def test_what_changes_nothing_is_carried_by_leaving_it_out(name: str, neutral: Any) -> None:
    document = {"model": "m", "messages": [{"role": "user", "content": "x"}], name: neutral}
    assert name not in json.loads(chat_to_messages(json.dumps(document).encode(), "m", {}).body)


def test_hints_are_left_out_and_named() -> None:
    document = {"model": "m", "messages": [], "metadata": {"a": "b"}, "store": True, "service_tier": "flex"}
    assert set(chat_to_messages(json.dumps(document).encode(), "m", {}).dropped) == {
        "metadata",
        "store",
        "service_tier",
    }


@pytest.mark.parametrize(
    "change,param",
    [
        ({"top_k": 5}, "top_k"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"type": "url", "url": "https://x"}]}, "mcp_servers"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, None),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]},
            "messages[0].content[0].source",
        ),
    ],
)
def test_what_chat_has_no_place_for_is_refused_by_name(change: Document, param: str | None) -> None:
    document = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], **change}
    with pytest.raises(NotCarriedError) as refused:
        messages_to_chat(json.dumps(document).encode(), "m", {})
    assert param is None or refused.value.param == param
    assert param is not None or "tools" in str(refused.value.param)


def test_a_responses_request_says_the_same_in_chat() -> None:
    document = {
        "model": "m",
        "instructions": "be brief",
        "max_output_tokens": 7,
        "store": True,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}],
        "tool_choice": {"type": "function", "name": "f"},
        "input": [
            {"role": "user", "content": "one"},
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]},
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "x"},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "two", "annotations": []}],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{ }"},
            {"type": "function_call", "call_id": "c2", "name": "f", "arguments": '{"a":1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "r1"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "r2"}]},
        ],
    }
    translated = responses_to_chat(json.dumps(document).encode(), "gpt", {})
    assert set(translated.dropped) == {"store", "reasoning.summary", "reasoning"}
    chat = json.loads(translated.body)
    assert [turn["role"] for turn in chat["messages"]] == ["system", "user", "user", "assistant", "tool", "tool"]
    calls = chat["messages"][3]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [("c1", "{ }"), ("c2", '{"a":1}')]
    assert [turn["tool_call_id"] for turn in chat["messages"][4:]] == ["c1", "c2"]
    assert (chat["max_completion_tokens"], chat["reasoning_effort"]) == (7, "low")
    assert chat["response_format"]["json_schema"]["strict"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"previous_response_id": "r"},
        {"conversation": "c"},
        {"background": True},
        {"prompt": {"id": "p"}},
        {"input": [{"type": "item_reference", "id": "x"}]},
        {"max_tool_calls": 3},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    ],
)
def test_what_needs_the_state_of_a_provider_is_refused_by_name(change: Document) -> None:
    with pytest.raises(NotCarriedError) as refused:
        responses_to_chat(json.dumps({"model": "m", "input": "x", **change}).encode(), "m", {})
    assert next(iter(change)) in (refused.value.param or "") + refused.value.message


def dropped_by(client: DialectName, provider: DialectName, change: Document, model: str = "m") -> tuple[str, ...]:
    bodies: dict[str, Document] = {
        "chat": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
        "messages": {"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "x"}]},
        "responses": {"model": "m", "input": "x"},
    }
    body = json.dumps({**bodies[client], **change}).encode()
    kind = "anthropic" if provider == "messages" else "openai"
    with pytest.raises(NotCarriedError):  # what is left out is an error for those who want that
        TRANSLATIONS[client, provider].request(body, Target(model, kind, {"translation": "strict"}))
    return TRANSLATIONS[client, provider].request(body, Target(model, kind)).dropped


@pytest.mark.parametrize(
    "client,provider,model,change,name",
    [
        ("chat", "messages", "m", {"seed": 1}, "seed"),
        ("chat", "messages", "m", {"logprobs": True}, "logprobs"),
        ("chat", "messages", "m", {"temperature": 1.5}, "temperature"),
        ("chat", "messages", "m", {"temperature": 0.5, "top_p": 0.5}, "top_p"),
        ("chat", "messages", "m", {"response_format": {"type": "json_object"}}, "response_format"),
        ("chat", "messages", "claude-sonnet-4-5", {"reasoning_effort": "high"}, "reasoning_effort"),
        ("chat", "messages", "claude-3-5-haiku", {"max_tokens": 9000}, "max_tokens"),
        ("chat", "messages", "m", {"something_new": 1}, "something_new"),
        ("chat", "messages", "m", {"messages": [{"role": "user", "content": "x", "name": "b"}]}, "messages[].name"),
        ("messages", "chat", "gpt-4o", {}, "max_tokens"),
        ("messages", "chat", "gpt-4o", {"max_tokens": 1, "metadata": {"user_id": "u" * 150}}, "user"),
        ("messages", "chat", "m", {"context_management": {"edits": []}}, "context_management"),
        ("messages", "chat", "gpt-4o", {"max_tokens": 1, "output_config": {"effort": "high"}}, "reasoning_effort"),
        ("messages", "chat", "gpt-5", {"temperature": 1}, "temperature"),
        ("messages", "chat", "m", {"stop_sequences": list("abcde")}, "stop"),
        ("responses", "chat", "m", {"client_metadata": {"a": "b"}}, "client_metadata"),
        ("responses", "chat", "m", {"tools": [{"type": "web_search"}]}, "tools.web_search"),
        ("responses", "messages", "m", {"prompt_cache_key": "k"}, "prompt_cache_key"),
        ("responses", "chat", "m", {"new_field": 1}, "new_field"),
    ],
)
def test_hints_and_nearest_forms_are_named_and_errors_when_strict(
    client: DialectName, provider: DialectName, model: str, change: Document, name: str
) -> None:
    assert name in dropped_by(client, provider, change, model)


def test_a_field_that_one_type_does_not_know_stays_in_the_others() -> None:
    blocks = [
        {"type": "text", "text": "x", "id": "no field of text"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
        {"type": "text", "text": "y", "id": "no field of text either"},
    ]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok", "name": "f"}
    messages = [{"role": "assistant", "content": blocks}, {"role": "user", "content": [result]}]
    body = json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()
    translated = messages_to_chat(body, "m", {})
    said = json.loads(translated.body)["messages"]
    assert said[0]["tool_calls"][0]["id"] == said[1]["tool_call_id"] == "toolu_1"
    assert said[0]["tool_calls"][0]["function"]["name"] == "f"
    assert {"messages[].content[].id", "messages[].content[].name"} <= set(translated.dropped)


def test_an_unknown_field_of_every_message_of_a_long_conversation_is_left_out() -> None:
    turns = [{"role": role, "content": "x", "sent_at": 7} for role in ("user", "assistant")] * 200
    translated = messages_to_chat(json.dumps({"model": "m", "max_tokens": 9, "messages": turns}).encode(), "m", {})
    assert len(json.loads(translated.body)["messages"]) == 400
    assert "messages[].sent_at" in translated.dropped


def test_a_field_whose_name_reads_like_a_place_is_refused() -> None:
    for place in ("$.messages[99999]", "$.messages[0].content[0]", "$[...]"):
        with pytest.raises(NotCarriedError):
            dropped_by("messages", "chat", {f"x` - at `{place}": 1})


@pytest.mark.parametrize("said", ["", " \n", [], [{"type": "text", "text": ""}], None])
def test_a_tool_that_failed_without_a_word_has_content_again(said: Any) -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": said}
    messages = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    chat = messages_to_chat(json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode(), "m", {})
    back = json.loads(chat_to_messages(chat.body, "m", {}).body)["messages"]
    assert back[-1]["content"] == [
        {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": "(empty)"}
    ]


def test_open_models_get_their_instructions_once_and_at_the_beginning() -> None:
    items = [
        {"role": "developer", "content": [{"type": "input_text", "text": "be careful"}]},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "be quick"},
    ]
    body = json.dumps({"model": "m", "instructions": "be brief", "input": items}).encode()
    turns = json.loads(responses_to_chat(body, "m", {"type": "openai-compatible"}).body)["messages"]
    assert turns == [
        {"role": "system", "content": "be brief\n\nbe careful"},
        {"role": "user", "content": "hi"},
        {"role": "user", "content": "be quick"},
    ]
    kept = json.loads(responses_to_chat(body, "m", {"type": "openai"}).body)["messages"]
    assert [turn["role"] for turn in kept] == ["system", "system", "user", "system"]
