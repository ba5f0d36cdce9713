"""The vendors' own SDKs, unmodified, against the gateway: same dialect, and translated to the other vendor's."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from contract.llmgateway.harness import Gateway, Mock, run_gateway, wait_until
from pydantic import BaseModel

TRICKY = {"zone": "Europe/Zurich", "nested": {"list": [1, 2.5, None, 'x"y']}}
CALLS = [
    {"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}, "id": "call_a"},
    {"name": "get_time", "arguments": TRICKY, "id": "call_b"},
]
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n not a real picture").decode()
CAT = "https://example.com/cat.jpg"
OPENAI_IMAGES: Any = [
    {"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": CAT}},
    ]}
]  # fmt: skip
ANTHROPIC_IMAGES: Any = [
    {"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "image", "source": {"type": "url", "url": CAT}},
    ]}
]  # fmt: skip
STATUSES = {
    400: "invalid_request_error",
    404: "not_found_error",
    409: "conflict",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
SCRIPT: dict[str, Any] = {
    "replies": [
        {"match": {"model": "tools"}, "toolCalls": CALLS, "chunks": 7},
        {"match": {"model": "no-arguments"}, "toolCalls": [{"name": "ping", "arguments": {}}]},
        {"match": {"model": "structured"}, "text": '{"city": "Bern", "degrees": 21}'},
        {"match": {"model": "thinking"}, "reasoning": "first I think", "text": "then I speak", "chunks": 3},
        {"match": {"model": "length"}, "text": "cut off he", "finish": "length"},
        {"match": {"model": "vectors"}, "dimensions": 16},
        {"match": {"model": "unmeasured"}, "usage": None},
        {"match": {"model": "slow"}, "delaySeconds": 30},
        {"match": {"model": "long"}, "text": "word " * 400, "chunks": 400, "chunkDelaySeconds": 0.05},
        *(
            {
                "match": {"model": f"status-{status}"},
                "status": status,
                "error": {"type": kind, "message": f"says {status}"},
            }
            for status, kind in STATUSES.items()
        ),
        {"text": "You said: {prompt}", "chunks": 5},
    ]
}  # fmt: skip


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture(scope="module")
def gateway(mock: Mock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    mock.set_script(SCRIPT)
    folder = tmp_path_factory.mktemp("sdks")
    (folder / "keys").mkdir()
    (folder / "keys" / "api-key").write_text("sdk-key")
    models = ["chat", *(reply["match"]["model"] for reply in SCRIPT["replies"] if "match" in reply)]
    providers = [
        {"name": kind, "type": kind, "baseUrl": mock.url, "credentials": str(folder / "keys"), "models": models}
        for kind in ("openai", "anthropic", "openai-compatible")
    ]
    limits = {"backoffSeconds": 0.01, "retryRatio": 1.0, "breakerFailures": 1000}
    with run_gateway(folder, {"providers": providers, "limits": limits}) as running:
        yield running


@pytest.fixture
def openai_client(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="placeholder", max_retries=0) as client:
        yield client


@pytest.fixture
def anthropic_client(gateway: Gateway) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key="placeholder", max_retries=0) as client:
        yield client


def said(prompt: str) -> list[Any]:
    return [{"role": "user", "content": prompt}]


BOTH = pytest.mark.parametrize("provider", ["openai", "anthropic"])


@BOTH
def test_openai_chat(openai_client: openai.OpenAI, provider: str) -> None:
    answer = openai_client.chat.completions.create(model=f"{provider}/chat", messages=said("grüezi"))
    assert answer.choices[0].message.content == "You said: grüezi"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (12, 8)


@BOTH
def test_openai_chat_stream_with_usage(openai_client: openai.OpenAI, provider: str) -> None:
    stream = openai_client.chat.completions.create(
        model=f"{provider}/chat", messages=said("hi"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "You said: hi"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 20


@BOTH
def test_openai_parallel_tools(openai_client: openai.OpenAI, provider: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": call["name"], "parameters": TOOL}} for call in CALLS]
    answer: Any = openai_client.chat.completions.create(
        model=f"{provider}/tools",
        messages=said("weather and time?"),
        tools=tools,
        tool_choice="auto",
    )
    check_openai_calls(
        [(c.id, c.function.name, c.function.arguments) for c in answer.choices[0].message.tool_calls or []]
    )
    assert answer.choices[0].finish_reason == "tool_calls"


@BOTH
def test_openai_streamed_tool_arguments(openai_client: openai.OpenAI, provider: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": call["name"], "parameters": TOOL}} for call in CALLS]
    with openai_client.chat.completions.stream(model=f"{provider}/tools", messages=said("both"), tools=tools) as stream:
        deltas = [event for event in stream if event.type == "tool_calls.function.arguments.delta"]
        message = stream.get_final_completion().choices[0].message
    assert len(deltas) > len(CALLS)
    check_openai_calls([(c.id, c.function.name, c.function.arguments) for c in message.tool_calls or []])


def check_openai_calls(calls: list[tuple[str, str, str]]) -> None:
    assert [(call_id, name) for call_id, name, _ in calls] == [(c["id"], c["name"]) for c in CALLS]
    assert [arguments for _, _, arguments in calls] == [json.dumps(c["arguments"]) for c in CALLS]


@BOTH
def test_a_tool_conversation_goes_round(openai_client: openai.OpenAI, provider: str, mock: Mock) -> None:
    messages = said("weather?")
    tools: Any = [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL}}]
    first = openai_client.chat.completions.create(model=f"{provider}/tools", messages=messages, tools=tools)
    messages.append(first.choices[0].message)
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": f"result of {call['name']}"} for call in CALLS]
    second = openai_client.chat.completions.create(model=f"{provider}/chat", messages=messages, tools=tools)
    assert second.choices[0].message.content is not None
    document = mock.journal("chat")[-1]["document"]
    if provider == "anthropic":
        assert [m["role"] for m in document["messages"]] == ["user", "assistant", "user"]
        assert [b["input"] for b in document["messages"][1]["content"]] == [c["arguments"] for c in CALLS]
        assert [b["tool_use_id"] for b in document["messages"][2]["content"]] == [c["id"] for c in CALLS]


def test_openai_tool_without_arguments_is_still_json(openai_client: openai.OpenAI) -> None:
    for stream in (False, True):
        with openai_client.chat.completions.stream(model="anthropic/no-arguments", messages=said("ping")) as events:
            calls = events.get_final_completion().choices[0].message.tool_calls
        if not stream:
            whole = openai_client.chat.completions.create(model="anthropic/no-arguments", messages=said("ping"))
            calls = whole.choices[0].message.tool_calls  # type: ignore[assignment]
        assert calls is not None
        assert json.loads(calls[0].function.arguments) == {}


@BOTH
def test_openai_structured_output(openai_client: openai.OpenAI, provider: str) -> None:
    answer = openai_client.chat.completions.parse(
        model=f"{provider}/structured", messages=said("weather"), response_format=Weather
    )
    assert answer.choices[0].message.parsed == Weather(city="Bern", degrees=21)


@BOTH
def test_openai_images(openai_client: openai.OpenAI, provider: str, mock: Mock) -> None:
    openai_client.chat.completions.create(model=f"{provider}/chat", messages=OPENAI_IMAGES)
    check_images(mock, provider)


def check_images(mock: Mock, provider: str) -> None:
    """What a provider was sent last, in its own dialect, whichever SDK asked."""
    messages = {"anthropic": ANTHROPIC_IMAGES, "openai": OPENAI_IMAGES}[provider]
    assert mock.journal("chat")[-1]["document"]["messages"] == messages


def test_openai_embeddings_as_base64_and_as_numbers(openai_client: openai.OpenAI) -> None:
    usual = openai_client.embeddings.create(model="openai/vectors", input=["one", "two"])
    numbers = openai_client.embeddings.create(model="openai/vectors", input=["one", "two"], encoding_format="float")
    assert [len(each.embedding) for each in usual.data] == [16, 16]
    assert usual.data[1].embedding == pytest.approx(numbers.data[1].embedding, rel=1e-5)


def test_openai_embeddings_without_usage_are_given_as_they_are(openai_client: openai.OpenAI) -> None:
    vectors = openai_client.embeddings.create(model="openai/unmeasured", input=["one", "two"])
    assert [len(each.embedding) for each in vectors.data] == [8, 8]
    assert vectors.model == "unmeasured"
    assert "usage" not in vectors.to_dict()


@pytest.mark.parametrize("provider", ["openai", "openai-compatible", "anthropic"])
def test_openai_responses(openai_client: openai.OpenAI, provider: str) -> None:
    answer = openai_client.responses.create(model=f"{provider}/chat", input="hello", instructions="be brief")
    assert answer.output_text == "You said: hello"
    assert answer.status == "completed"
    assert answer.usage is not None
    assert answer.usage.input_tokens == 12


@pytest.mark.parametrize("provider", ["openai", "openai-compatible", "anthropic"])
def test_openai_responses_stream(openai_client: openai.OpenAI, provider: str) -> None:
    with openai_client.responses.stream(model=f"{provider}/chat", input="hello") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert text == final.output_text == "You said: hello"
    assert final.status == "completed"


@pytest.mark.parametrize("provider", ["openai", "openai-compatible", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
def test_openai_responses_tools(openai_client: openai.OpenAI, provider: str, stream: bool) -> None:
    tools: Any = [{"type": "function", "name": c["name"], "parameters": TOOL, "strict": False} for c in CALLS]
    if stream:
        with openai_client.responses.stream(model=f"{provider}/tools", input="both", tools=tools) as events:
            final: Any = events.get_final_response()
    else:
        final = openai_client.responses.create(model=f"{provider}/tools", input="both", tools=tools)
    calls = [item for item in final.output if item.type == "function_call"]
    check_openai_calls([(call.call_id, call.name, call.arguments) for call in calls])


def test_openai_responses_say_when_they_were_cut_short(openai_client: openai.OpenAI) -> None:
    for provider in ("openai", "openai-compatible", "anthropic"):
        answer = openai_client.responses.create(model=f"{provider}/length", input="go on")
        assert answer.status == "incomplete"
        assert answer.incomplete_details is not None
        assert answer.incomplete_details.reason == "max_output_tokens"


def test_openai_models(openai_client: openai.OpenAI) -> None:
    names = [model.id for model in openai_client.models.list()]
    assert {"tools", "openai/tools", "anthropic/tools"} <= set(names)
    assert openai_client.models.retrieve("tools").id == "tools"
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("nothing-of-that-name")


@BOTH
@pytest.mark.parametrize(
    "status,kind",
    [(400, openai.BadRequestError), (404, openai.NotFoundError), (409, openai.ConflictError),
     (422, openai.UnprocessableEntityError), (429, openai.RateLimitError), (500, openai.InternalServerError),
     (529, openai.InternalServerError)],
)  # fmt: skip
def test_openai_errors_by_class(
    openai_client: openai.OpenAI, provider: str, status: int, kind: type[openai.APIStatusError]
) -> None:
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            openai_client.chat.completions.create(
                model=f"{provider}/status-{status}", messages=said("x"), stream=stream
            )
        assert f"says {status}" in str(caught.value)


def test_openai_unknown_model(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        openai_client.chat.completions.create(model="no-such-model", messages=said("x"))
    assert caught.value.code == "model_not_found"


def test_openai_timeout_closes_the_provider(openai_client: openai.OpenAI, mock: Mock) -> None:
    with pytest.raises(openai.APITimeoutError):
        openai_client.chat.completions.create(model="openai/slow", messages=said("x"), timeout=0.5)
    wait_until(lambda: mock.journal("slow")[-1]["outcome"] == "client-gone", within_s=30)
    assert mock.journal("slow")[-1]["ended_after_s"] < 1.5


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_timeout_closes_the_provider(
    anthropic_client: anthropic.Anthropic, mock: Mock, provider: str, stream: bool
) -> None:
    before = len(mock.journal("slow"))
    with pytest.raises(anthropic.APITimeoutError):
        anthropic_client.messages.create(
            model=f"{provider}/slow", max_tokens=9, messages=said("x"), stream=stream, timeout=0.5
        )
    wait_until(lambda: [each["outcome"] for each in mock.journal("slow")[before:]] == ["client-gone"], within_s=30)
    assert mock.journal("slow")[-1]["ended_after_s"] < 1.5


@BOTH
async def test_openai_async_stream_and_cancellation(gateway: Gateway, mock: Mock, provider: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        stream = await client.chat.completions.create(model=f"{provider}/long", messages=said("x"), stream=True)
        seen = 0
        async for chunk in stream:
            seen += bool(chunk.choices and chunk.choices[0].delta.content)
            if seen == 5:
                break
        await stream.close()
        await asyncio.to_thread(
            wait_until, lambda: mock.journal("long")[-1]["outcome"] == "client-gone", within_s=30
        )  # fmt: skip


@BOTH
def test_anthropic_messages(anthropic_client: anthropic.Anthropic, provider: str) -> None:
    answer = anthropic_client.messages.create(
        model=f"{provider}/chat", max_tokens=100, system="be kind", messages=said("hoi")
    )
    assert [block.text for block in answer.content if block.type == "text"] == ["You said: hoi"]
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 8)


@BOTH
def test_anthropic_stream(anthropic_client: anthropic.Anthropic, provider: str) -> None:
    with anthropic_client.messages.stream(model=f"{provider}/chat", max_tokens=100, messages=said("hi")) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == "You said: hi"
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 8


@BOTH
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_parallel_tools(anthropic_client: anthropic.Anthropic, provider: str, stream: bool) -> None:
    asked: Any = {
        "model": f"{provider}/tools",
        "max_tokens": 100,
        "messages": said("both"),
        "tools": [{"name": call["name"], "input_schema": TOOL} for call in CALLS],
    }
    if stream:
        with anthropic_client.messages.stream(**asked) as events:
            final = events.get_final_message()
    else:
        final = anthropic_client.messages.create(**asked)
    uses = [block for block in final.content if block.type == "tool_use"]
    assert [(use.id, use.name, use.input) for use in uses] == [(c["id"], c["name"], c["arguments"]) for c in CALLS]
    assert final.stop_reason == "tool_use"


@BOTH
def test_anthropic_thinking(anthropic_client: anthropic.Anthropic, provider: str) -> None:
    with anthropic_client.messages.stream(
        model=f"{provider}/thinking",
        max_tokens=4000,
        messages=said("x"),
        thinking={"type": "enabled", "budget_tokens": 2000},
    ) as stream:  # fmt: skip
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].thinking == "first I think"  # type: ignore[union-attr]


def test_anthropic_images_and_tool_results_over_openai(anthropic_client: anthropic.Anthropic, mock: Mock) -> None:
    messages: Any = [
        {"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            {"type": "text", "text": "what is it?", "cache_control": {"type": "ephemeral"}},
        ]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {"zoom": 2}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "it broke", "is_error": True},
            {"type": "text", "text": "and now?"},
        ]},
    ]  # fmt: skip
    answer = anthropic_client.messages.with_raw_response.create(model="openai/chat", max_tokens=9, messages=messages)
    assert answer.headers["x-agentberth-dropped"] == "cache_control"
    sent = mock.journal("chat")[-1]["document"]["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "user"]
    assert sent[0]["content"][0]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"
    assert json.loads(sent[1]["tool_calls"][0]["function"]["arguments"]) == {"zoom": 2}
    assert "it broke" in sent[2]["content"]


@BOTH
def test_anthropic_images(anthropic_client: anthropic.Anthropic, provider: str, mock: Mock) -> None:
    anthropic_client.messages.create(model=f"{provider}/chat", max_tokens=9, messages=ANTHROPIC_IMAGES)
    check_images(mock, provider)


@BOTH
async def test_images_of_the_async_clients(gateway: Gateway, mock: Mock, provider: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as asking:
        chat = await asking.chat.completions.create(model=f"{provider}/chat", messages=OPENAI_IMAGES)
    assert chat.choices[0].finish_reason == "stop"
    check_images(mock, provider)
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="x", max_retries=0) as client:
        message = await client.messages.create(model=f"{provider}/chat", max_tokens=9, messages=ANTHROPIC_IMAGES)
    assert message.stop_reason == "end_turn"
    check_images(mock, provider)


def test_anthropic_counts_tokens_and_the_gateway_estimates_where_it_cannot(
    anthropic_client: anthropic.Anthropic,
) -> None:
    counted = anthropic_client.messages.count_tokens(model="anthropic/chat", messages=said("x"))
    assert counted.input_tokens == 12
    estimated = anthropic_client.messages.with_raw_response.count_tokens(model="openai/chat", messages=said("x" * 400))
    assert estimated.headers["x-agentberth-estimated"] == "input_tokens"
    assert 100 <= estimated.parse().input_tokens < 150


def test_openai_counts_tokens_and_the_gateway_estimates_where_it_cannot(openai_client: openai.OpenAI) -> None:
    counted = openai_client.responses.input_tokens.count(model="openai/chat", input="x")
    assert (counted.input_tokens, counted.object) == (12, "response.input_tokens")
    asked = openai_client.responses.input_tokens.with_raw_response
    estimated = asked.count(model="anthropic/chat", input="x" * 400)
    assert estimated.headers["x-agentberth-estimated"] == "input_tokens"
    assert 100 <= estimated.parse().input_tokens < 150


def test_anthropic_models(anthropic_client: anthropic.Anthropic) -> None:
    assert "anthropic/tools" in [model.id for model in anthropic_client.models.list()]


@BOTH
@pytest.mark.parametrize(
    "status,kind",
    [(400, anthropic.BadRequestError), (404, anthropic.NotFoundError), (409, anthropic.ConflictError),
     (422, anthropic.UnprocessableEntityError), (429, anthropic.RateLimitError),
     (500, anthropic.InternalServerError), (529, anthropic.InternalServerError)],
)  # fmt: skip
def test_anthropic_errors_by_class(
    anthropic_client: anthropic.Anthropic, provider: str, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    for stream in (False, True):
        with pytest.raises(kind) as caught:
            anthropic_client.messages.create(
                model=f"{provider}/status-{status}", max_tokens=9, messages=said("x"), stream=stream
            )
        assert f"says {status}" in str(caught.value)


def test_what_cannot_be_carried_is_refused_by_its_name(
    openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic
) -> None:
    hinted = openai_client.chat.completions.with_raw_response.create(
        model="anthropic/chat", messages=said("x"), seed=7
    )  # fmt: skip
    assert hinted.headers["x-agentberth-dropped"] == "seed"
    with pytest.raises(openai.BadRequestError) as several:
        openai_client.chat.completions.create(model="anthropic/chat", messages=said("x"), n=2)
    assert several.value.param == "n"
    with pytest.raises(openai.BadRequestError) as state:
        openai_client.responses.create(model="openai-compatible/chat", input="x", previous_response_id="resp_1")
    assert "previous_response_id" in str(state.value)
    server_tool: Any = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError) as search:
        anthropic_client.messages.create(model="openai/chat", max_tokens=9, messages=said("x"), tools=[server_tool])
    assert "tools" in str(search.value)
    with pytest.raises(anthropic.BadRequestError) as top_k:
        anthropic_client.messages.create(
            model="openai/chat", max_tokens=9, messages=said("x"), extra_body={"top_k": 5}
        )  # fmt: skip
    assert "top_k" in str(top_k.value)


@BOTH
async def test_anthropic_async(gateway: Gateway, provider: str) -> None:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="x", max_retries=0) as client:
        async with client.messages.stream(model=f"{provider}/chat", max_tokens=9, messages=said("hi")) as stream:
            assert "".join([text async for text in stream.text_stream]) == "You said: hi"
        answers = await asyncio.gather(
            *(client.messages.create(model=f"{provider}/chat", max_tokens=9, messages=said(str(i))) for i in range(20))
        )
    assert [answer.content[0].text for answer in answers] == [f"You said: {i}" for i in range(20)]  # type: ignore[union-attr]


@BOTH
async def test_openai_async_does_what_the_other_does(gateway: Gateway, provider: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": call["name"], "parameters": TOOL}} for call in CALLS]
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        chat = await client.chat.completions.create(model=f"{provider}/chat", messages=said("grüezi"))
        assert chat.choices[0].message.content == "You said: grüezi"
        whole: Any = await client.chat.completions.create(model=f"{provider}/tools", messages=said("x"), tools=tools)
        events = client.chat.completions.stream(model=f"{provider}/tools", messages=said("x"), tools=tools)
        async with events as stream:
            streamed: Any = await stream.get_final_completion()
        for answer in (whole, streamed):
            calls = answer.choices[0].message.tool_calls
            check_openai_calls([(c.id, c.function.name, c.function.arguments) for c in calls])
        parsed = await client.chat.completions.parse(
            model=f"{provider}/structured", messages=said("weather"), response_format=Weather
        )
        assert parsed.choices[0].message.parsed == Weather(city="Bern", degrees=21)
        response = await client.responses.create(model=f"{provider}/chat", input="hello")
        assert response.output_text == "You said: hello"
        vectors = await client.embeddings.create(model="openai/vectors", input=["one", "two"])
        assert [len(each.embedding) for each in vectors.data] == [16, 16]


@BOTH
async def test_openai_async_errors_and_timeouts(gateway: Gateway, mock: Mock, provider: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        with pytest.raises(openai.RateLimitError):
            await client.chat.completions.create(model=f"{provider}/status-429", messages=said("x"))
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="no-such-model", messages=said("x"))
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model=f"{provider}/slow", messages=said("x"), timeout=0.5)
    await asyncio.to_thread(wait_until, lambda: mock.journal("slow")[-1]["outcome"] == "client-gone", within_s=30)


@BOTH
async def test_anthropic_async_tools_errors_timeouts_and_cancellation(
    gateway: Gateway, mock: Mock, provider: str
) -> None:
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="x", max_retries=0) as client:
        tools: Any = [{"name": call["name"], "input_schema": TOOL} for call in CALLS]
        events = client.messages.stream(model=f"{provider}/tools", max_tokens=9, messages=said("x"), tools=tools)
        async with events as stream:
            final = await stream.get_final_message()
        uses = [block for block in final.content if block.type == "tool_use"]
        assert [(use.id, use.input) for use in uses] == [(call["id"], call["arguments"]) for call in CALLS]
        with pytest.raises(anthropic.RateLimitError):
            await client.messages.create(model=f"{provider}/status-429", max_tokens=9, messages=said("x"))
        with pytest.raises(anthropic.APITimeoutError):
            await client.messages.create(model=f"{provider}/slow", max_tokens=9, messages=said("x"), timeout=0.5)
        await asyncio.to_thread(wait_until, lambda: mock.journal("slow")[-1]["outcome"] == "client-gone", within_s=30)
        async with client.messages.stream(model=f"{provider}/long", max_tokens=9, messages=said("x")) as stream:
            async for _ in stream.text_stream:
                break
        await asyncio.to_thread(wait_until, lambda: mock.journal("long")[-1]["outcome"] == "client-gone", within_s=30)


@BOTH
def test_anthropic_structured_output(anthropic_client: anthropic.Anthropic, provider: str) -> None:
    answer = anthropic_client.messages.parse(
        model=f"{provider}/structured", max_tokens=99, messages=said("weather"), output_format=Weather
    )
    assert answer.parsed_output == Weather(city="Bern", degrees=21)


def test_a_websocket_is_refused_at_once(gateway: Gateway) -> None:
    """Codex asks for one first; after any other answer than 426 it asks again and again before it goes on."""
    headers = {"connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    answer = httpx.get(f"{gateway.url}/v1/responses", headers=headers)
    assert answer.status_code == 426
    assert answer.json()["error"]["code"] == "upgrade_required"
