"""The judge of what is charged: a hostile way to call must not cost less than its bill, a friendly one not more."""

import asyncio
import base64
import json
import os
import random
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import aiohttp
import httpx
import pytest
from contract.llmgateway.billing import PATHS, BillingProvider, Script, Told, run_billing
from contract.llmgateway.harness import Gateway, run_gateway

Document = dict[str, Any]
ROUTES = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
JSON = {"content-type": "application/json"}
LEAST, MOST = 0.95, 1.1
WHOLE = bool(os.environ.get("AGENTBERTH_WHOLE"))
SAMPLE = 72
PROMPT = "tell me of words and of other words " * 40
End = Literal["read", "unread", "first", "middle", "finish"]
"""When the client goes away: at the end, before anything came, at the first event, in the middle, at the finish."""


@dataclass(frozen=True)
class Row:
    """One way to call: a dialect at a type of provider, how it answers, and when its client leaves."""

    dialect: str
    kind: str
    stream: bool
    script: Script
    end: End = "read"
    more: Document = field(default_factory=dict, hash=False)
    backup: bool = False

    @property
    def name(self) -> str:
        how = "stream" if self.stream else "whole"
        said = f"{self.script.told}-{self.script.fails or 'well'}-{self.script.hidden}"
        extra = "-".join(f"{name}={str(value)[:24]}" for name, value in self.more.items())
        return f"{self.dialect}-{self.kind}-{how}-{self.end}-{said}-{'backup' if self.backup else 'alone'}-{extra}"

    def leaves_at(self, seen: bytes) -> bool:
        """Whether the client has had enough."""
        if self.end == "first":
            return True
        if self.end == "middle":
            return seen.count(b"word") > self.script.visible // 2
        return self.end == "finish" and (b'"stop"' in seen or b'"end_turn"' in seen)


PAIRS = (
    ("chat", "openai"),
    ("chat", "compatible"),
    ("chat", "anthropic"),
    ("messages", "anthropic"),
    ("messages", "compatible"),
    ("responses", "openai"),
    ("responses", "compatible"),
    ("responses", "anthropic"),
)
TELLING: tuple[Told, ...] = ("truly", "never", "negative", "zero", "huge", "cached", "words", "floats", "strange")
LEAVING: tuple[End, ...] = ("first", "middle", "finish")
FAILING: tuple[Any, ...] = (500, 503, "cut", "clean-end", "stall", "error-event")
THINKING: dict[str, Document] = {
    "chat": {},
    "responses": {},
    "messages": {"thinking": {"type": "enabled", "budget_tokens": 9000}},
}


def rows() -> Iterator[Row]:
    for dialect, kind in PAIRS:
        for stream in (False, True):
            for told in TELLING:
                yield Row(dialect, kind, stream, Script(told=told))
            yield Row(dialect, kind, stream, Script(hidden=8000))
            for fails in FAILING[: None if stream else 2]:
                yield Row(dialect, kind, stream, Script(fails=fails, visible=400))
                yield Row(dialect, kind, stream, Script(fails=fails, visible=400), backup=True)
            yield Row(dialect, kind, stream, Script(fails="silence"), backup=True)
            yield Row(dialect, kind, stream, Script(pause_s=0.3), "unread")
        for end in LEAVING:
            yield Row(dialect, kind, True, Script(pause_s=0.001), end)
            yield Row(dialect, kind, True, Script(pause_s=0.02, per_event=40, visible=2000), end)
        if kind != "anthropic" or dialect == "messages":
            more = THINKING[dialect]
            yield Row(dialect, kind, True, Script(hidden=8000, pause_s=0.001), "middle", more)
            yield Row(dialect, kind, False, Script(hidden=8000, pause_s=0.3), "unread", more)
    yield from special_rows()


def special_rows() -> Iterator[Row]:
    for kind in ("openai", "compatible"):
        for stream in (False, True):
            yield Row("chat", kind, stream, Script(), more={"n": 3})
            yield Row("chat", kind, stream, Script(told="never"), more={"n": 3})
            yield Row("chat", kind, stream, Script(told="beside", hidden=8000))
        yield Row("chat", kind, True, Script(hidden=8000), more={"stream_options": {"include_usage": False}})
        yield Row("chat", kind, True, Script(hidden=8000), more={"stream_options": None})
        yield Row("chat", kind, False, Script(), more={"max_output_tokens": 1, "max_tokens": 300})
        yield Row("embeddings", kind, False, Script(visible=0))
        yield Row("embeddings", kind, False, Script(visible=0, told="never"))
        yield Row("embeddings", kind, False, Script(visible=0, fails=500))
    yield Row("responses", "openai", False, Script(hidden=8000), more={"background": True})


ALL = list(rows())
CHOSEN = ALL if WHOLE else random.Random(14).sample(ALL, SAMPLE)  # noqa: S311 - a sample


def request_of(row: Row, model: str) -> Document:
    body: Document = {"model": model, **row.more}
    if row.dialect in ("responses", "embeddings"):
        body["input"] = PROMPT
    else:
        body["messages"] = [{"role": "user", "content": PROMPT}]
    if row.dialect == "messages":
        body["max_tokens"] = 10_000
    return {**body, "stream": True} if row.stream else body


def config_of(provider: BillingProvider, models: list[str], keys: Path) -> Document:
    common = {"credentials": str(keys), "timeouts": {"firstToken": 0.4, "firstTokenLast": 1.0, "idle": 0.4}}
    url = {"openai": "/v1", "compatible": "/v1", "anthropic": ""}
    types = {"openai": "openai", "compatible": "openai-compatible", "anthropic": "anthropic"}
    providers = [
        {"name": name, "type": types[name], "baseUrl": provider.url + url[name], "model": f"{name}-m", **common}
        for name in types
    ]
    aliases = [
        {
            "name": f"{kind}/{model}/backed",
            "routes": [{"provider": kind, "model": model}, {"provider": kind, "model": "m"}],
        }
        for kind in types
        for model in models
    ]
    limits = {"backoffSeconds": 0.01, "breakerFailures": 1000, "retryRatio": 1}
    return {"providers": providers, "models": aliases, "limits": limits}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "api-key").write_text("sk-test-0123456789")
    return folder


@pytest.fixture
async def provider() -> AsyncIterator[BillingProvider]:
    async with run_billing() as running:
        yield running


@dataclass
class Caller:
    """Calls a gateway as its rows say, and sees what it was charged for that."""

    gateway: Gateway
    provider: BillingProvider
    session: aiohttp.ClientSession
    charged: int = 0

    async def measure(self, row: Row, body: Document) -> int:
        """Tokens that one call was charged; `provider.bills` are its own alone."""
        self.provider.bills.clear()
        await self.call(row, body)
        before, self.charged = self.charged, await self.settle()
        return self.charged - before

    async def call(self, row: Row, body: Document) -> None:
        """Send the request, and leave when the row says so."""
        path = next(path for path, dialect in PATHS.items() if dialect == row.dialect)
        timeout = aiohttp.ClientTimeout(total=0.15 if row.end == "unread" else 30)
        try:
            data = BytesIO(json.dumps(body).encode())
            async with self.session.post(self.gateway.url + path, data=data, headers=JSON, timeout=timeout) as response:
                seen = b""
                while chunk := await response.content.readany():
                    seen += chunk
                    if row.leaves_at(seen):
                        response.close()
                        return
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError):
            return
        except TimeoutError:
            assert row.end == "unread"

    async def settle(self) -> int:
        """What is charged, once nothing is in flight."""
        ops = f"http://127.0.0.1:{self.gateway.ops_port}"
        for _ in range(2000):
            async with self.session.get(f"{ops}/metrics") as metrics:
                if "agentberth_llmgateway_requests_in_flight 0.0" in await metrics.text():
                    break
            await asyncio.sleep(0.01)
        async with self.session.get(f"{ops}/report") as report:
            [limit] = (await report.json())["budget"]["limits"]
            return int(limit["spent"])


@asynccontextmanager
async def judged(provider: BillingProvider, folder: Path, config: Document) -> AsyncIterator[Caller]:
    with run_gateway(folder, {"budget": {"tokensPerRun": 10**9}, **config}) as gateway:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            yield Caller(gateway, provider, session)


@pytest.mark.timeout(900)
async def test_no_way_to_call_costs_less_than_its_bill(provider: BillingProvider, keys: Path, tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(len(CHOSEN))]
    provider.scripts = {name: row.script for name, row in zip(names, CHOSEN, strict=True)}
    wrong = []
    async with judged(provider, tmp_path, config_of(provider, names, keys)) as caller:
        for name, row in zip(names, CHOSEN, strict=True):
            model = f"{row.kind}/{name}/backed" if row.backup else f"{row.kind}/{name}"
            charged = await caller.measure(row, request_of(row, model))
            if not provider.bills or charged < LEAST * provider.billed:
                wrong.append(f"{row.name}: charged {charged} of {provider.billed} in {len(provider.bills)}")
    assert wrong == []
    assert provider.refused == []


def picture(width: int, height: int, size: int) -> str:
    """Of a PNG so much that its head is right, and `size` bytes."""
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", width, height, 8, 2, 0, 0, 0)
    return base64.b64encode(head + os.urandom(size)).decode()


def friendly_bodies() -> Iterator[tuple[str, str, Document]]:
    """Dialect, type of provider, body: as well-meant programs send them."""
    data = picture(300, 300, 900_000)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    picture_url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    ask = {"type": "text", "text": PROMPT}
    chat: list[Document] = [{"messages": [{"role": "user", "content": PROMPT}]}]
    chat += [{**chat[0], "tools": tools}, {"messages": [{"role": "user", "content": [ask, picture_url]}]}]
    chat += [{**chat[0], "max_tokens": 1000}, {**chat[0], "n": 2}]
    message: list[Document] = [
        {"messages": [{"role": "user", "content": content}], "max_tokens": 9000} for content in (PROMPT, [ask, block])
    ]
    asked = {"type": "input_text", "text": PROMPT}
    shown = {"type": "input_image", "image_url": f"data:image/png;base64,{data}"}
    response: list[Document] = [{"input": PROMPT}, {"input": [{"role": "user", "content": [asked, shown]}]}]
    for kind in ("openai", "compatible", "anthropic"):
        for dialect, bodies in (("chat", chat), ("messages", message), ("responses", response)):
            for body in bodies:
                if (kind, dialect) != ("openai", "messages") and not (kind == "anthropic" and "n" in body):
                    yield dialect, kind, body
        if kind != "anthropic":
            yield "embeddings", kind, {"input": PROMPT}


async def test_friendly_use_is_charged_what_it_costs(provider: BillingProvider, keys: Path, tmp_path: Path) -> None:
    wrong = []
    async with judged(provider, tmp_path, config_of(provider, [], keys)) as caller:
        for dialect, kind, given in friendly_bodies():
            for stream in (False, True) if dialect != "embeddings" else (False,):
                row = Row(dialect, kind, stream, Script())
                body = {"model": f"{kind}/m", **given, **({"stream": True} if stream else {})}
                charged = await caller.measure(row, body)
                if not provider.bills or not LEAST * provider.billed <= charged <= MOST * provider.billed:
                    wrong.append(f"{row.name} {list(given)}: charged {charged} of {provider.billed}")
    assert wrong == []
    assert provider.refused == []


async def test_a_picture_is_not_text_for_a_provider_that_tells_no_usage(
    provider: BillingProvider, keys: Path, tmp_path: Path
) -> None:
    provider.scripts["m"] = Script(told="never", visible=1)
    async with judged(provider, tmp_path, config_of(provider, [], keys)) as caller:
        for width, height in ((300, 300), (1000, 700), (90, 60)):
            url = f"data:image/png;base64,{picture(width, height, 900_000)}"
            content = [{"type": "image_url", "image_url": {"url": url}}]
            body = {"model": "openai/m", "stream": True, "messages": [{"role": "user", "content": content}]}
            charged = await caller.measure(Row("chat", "openai", True, Script()), body)
            assert provider.billed * LEAST <= charged <= provider.billed * MOST + len(json.dumps(body)) - len(url)


HOSTILE_LIMITS: tuple[Document, ...] = (
    {},
    {"max_completion_tokens": 10, "n": 8},
    {"max_tokens": 1},
    {"max_output_tokens": 1},
    {"max_tokens": 1.5},
)


@pytest.mark.parametrize("limits", HOSTILE_LIMITS[: None if WHOLE else 2], ids=str)
async def test_parallel_requests_pass_the_limit_by_one_at_most(
    provider: BillingProvider, keys: Path, tmp_path: Path, limits: Document
) -> None:
    """The provider makes 13,000 tokens for each choice, whatever the request says."""
    provider.scripts["m"] = Script(visible=200, hidden=12_800, pause_s=0.05)
    most = 50_000
    body = {"model": "openai/m", "messages": [{"role": "user", "content": PROMPT}], **limits}
    async with judged(
        provider, tmp_path, {**config_of(provider, [], keys), "budget": {"tokensPerRun": most}}
    ) as caller:

        async def send() -> int:
            async with caller.session.post(caller.gateway.url + ROUTES["chat"], json=body) as answer:
                await answer.read()
                return answer.status

        assert set(await asyncio.gather(*(send() for _ in range(40)))) == {200, 429}
        assert provider.billed <= most + max(bill.total for bill in provider.bills)
        assert await caller.settle() >= LEAST * provider.billed


async def test_a_client_that_did_not_ask_for_usage_sees_none_of_its_events(
    provider: BillingProvider, keys: Path, tmp_path: Path
) -> None:
    with run_gateway(tmp_path, config_of(provider, [], keys)) as gateway:
        body = {"model": "openai/m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        async with httpx.AsyncClient(base_url=gateway.url, timeout=30) as client:
            for options in ({}, {"stream_options": {"include_usage": False}}):
                text = (await client.post(ROUTES["chat"], json={**body, **options})).text
                assert '"choices": []' not in text
                assert text.endswith("data: [DONE]\n\n")
            asked = await client.post(ROUTES["chat"], json={**body, "stream_options": {"include_usage": True}})
            assert asked.text.count('"choices": []') == 1
        assert gateway.report().providers[0].output_tokens == 600
