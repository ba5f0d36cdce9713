"""A strict provider as an HTTP server: it answers what its API takes and refuses the rest in its API's words."""

import asyncio
import json
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web
from contract.llmgateway.strict import chat_rules, conversation, messages_rules, responses_rules, scripted, writers
from contract.llmgateway.strict.rule import Document, Facts, Memory, first_refusal

FACTS = {
    "gpt-4.1": Facts(32_768),
    "gpt-5": Facts(128_000, reasons=True),
    "claude-sonnet-4-5": Facts(64_000),
    "qwen3-32b": Facts(32_768),
    "of-nobody-16k": Facts(16_384),
    "unverified": Facts(32_768, streams=False),
}
READERS = {
    "chat": conversation.read_chat,
    "messages": conversation.read_messages,
    "responses": conversation.read_responses,
}


@dataclass
class Request:
    """One request and what became of it. `refused` is the API's message."""

    dialect: str
    body: Document
    scene: str
    step: int
    status: int
    refused: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class StrictProvider:
    """OpenAI, Anthropic, or a server compatible with OpenAI. At `down_at` it is overloaded: pairs of scene and step."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.memory = Memory(secret=f"{kind}-{id(self)}")
        self.organisations: dict[str, Memory] = {}
        """By their key: what one of them has made, no other one knows. A key that is not among them is the rest's."""
        self.requests: list[Request] = []
        self.down_at: set[tuple[str, int]] = set()
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def refusals(self) -> list[str]:
        return [f"{request.dialect}: {request.refused}" for request in self.requests if request.refused]

    def clear(self) -> None:
        self.requests, self.down_at = [], set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        paths = {"anthropic": ("messages",), "openai": ("chat", "responses")}.get(self.kind, ("chat",))
        for dialect in paths:
            path = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}[dialect]
            app.router.add_post(path, self._handler(dialect))
        if self.kind == "anthropic":
            app.router.add_post("/v1/messages/count_tokens", self._count)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _count(self, _: web.Request) -> web.Response:
        return web.json_response({"input_tokens": 42})

    def _handler(self, dialect: str) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                body = json.loads(await request.read())
            except ValueError:
                return self._error(dialect, 400, "We could not parse the JSON body of your request.")
            noted, response = self._judge(dialect, body, request)
            self.requests.append(noted)
            if response is not None:
                return response
            said, memory = scripted.answer(READERS[dialect](body)), self._memory_of(request)
            if body.get("stream"):
                return await _send(request, self._events(dialect, said, body, memory))
            return web.json_response(self._whole(dialect, said, body, memory))

        return handle

    def _memory_of(self, request: web.Request) -> Memory:
        shown = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key", "")
        return self.organisations.get(shown, self.memory)

    def _judge(self, dialect: str, body: Document, request: web.Request) -> tuple[Request, web.Response | None]:
        """Whether it is taken."""
        refused = self._refusal(dialect, body, request)
        if refused is not None:
            return Request(dialect, body, "", 0, 400, refused), self._error(dialect, 400, refused)
        seen = READERS[dialect](body)
        noted = Request(
            dialect, body, scripted.scene_of(seen), scripted.step_of(seen), 200, headers=dict(request.headers)
        )
        if (noted.scene, noted.step) in self.down_at:
            noted.status = 529 if self.kind == "anthropic" else 503
            return noted, self._error(dialect, noted.status, "Overloaded")
        return noted, None

    def _refusal(self, dialect: str, body: Document, request: web.Request) -> str | None:
        facts = FACTS.get(body.get("model", ""))
        if facts is None:
            return f"The model `{body.get('model')}` does not exist"
        if self.kind == "anthropic" and not (
            request.headers.get("x-api-key") and request.headers.get("anthropic-version")
        ):
            return "anthropic-version: header is required"
        if self.kind == "openai" and not request.headers.get("authorization", "").startswith("Bearer "):
            return "You didn't provide an API key."
        if "structured-outputs-2025-11-13" in request.headers.get("anthropic-beta", "") and "output_format" in body:
            body["output_config"] = {**(body.get("output_config") or {}), "format": body.pop("output_format")}
        if body.get("stream") and not facts.streams:
            return "Your organization must be verified to stream this model."
        rules = {"messages": messages_rules.RULES, "responses": responses_rules.RULES}.get(dialect)
        try:
            found = first_refusal(rules or chat_rules.rules_of(self.kind), body, facts, self._memory_of(request))
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            return f"the request has not the form of the API: {error!r}"
        return found[1] if found else None

    def _error(self, dialect: str, status: int, message: str) -> web.Response:
        kind = "invalid_request_error" if status == 400 else "overloaded_error"
        if dialect == "messages":
            return web.json_response({"type": "error", "error": {"type": kind, "message": message}}, status=status)
        error = {"message": message, "type": kind, "param": None, "code": None}
        return web.json_response({"error": error}, status=status)

    def _whole(self, dialect: str, said: list[scripted.Said], body: Document, memory: Memory) -> Document:
        if dialect == "chat":
            return writers.write_chat(said, body, self.kind)
        write = writers.write_message if dialect == "messages" else writers.write_response
        return write(said, body, memory)

    def _events(self, dialect: str, said: list[scripted.Said], body: Document, memory: Memory) -> Iterable[bytes]:
        if dialect == "chat":
            return writers.stream_chat(said, body, self.kind)
        stream = writers.stream_message if dialect == "messages" else writers.stream_response
        return stream(said, body, memory)


async def _send(request: web.Request, events: Iterable[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    with suppress(ConnectionError):
        for each in events:
            await response.write(each)
            await asyncio.sleep(0)
        await response.write_eof()
    return response
