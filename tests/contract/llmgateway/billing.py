"""A provider that knows what it would bill: strict about what it is sent, and scripted in how it answers."""

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Document = dict[str, Any]
TOKEN = "word "
"""What the model makes, one token each."""
PATHS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "messages",
}
Told = Literal["truly", "never", "negative", "zero", "huge", "cached", "words", "floats", "strange", "beside"]


@dataclass
class Script:
    """How a model answers. `fails` is a status, or what becomes of the answer after `fails_after` tokens."""

    visible: int = 200
    hidden: int = 0
    told: Told = "truly"
    fails: int | Literal["", "cut", "clean-end", "stall", "silence", "error-event", "no-finish"] = ""
    fails_after: int = 100
    pause_s: float = 0.0
    """Between two tokens of a stream, or before a whole answer."""
    per_event: int = 1


@dataclass
class Bill:
    """What one request costs at its provider."""

    dialect: str
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens


@dataclass
class BillingProvider:
    """All dialects at one address. Models are scripts by name; one without a script answers with the default."""

    scripts: dict[str, Script] = field(default_factory=dict)
    bills: list[Bill] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def billed(self) -> int:
        return sum(bill.total for bill in self.bills)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        dialect, body = PATHS[request.path], json.loads(await request.read())
        complaint = complaint_of(dialect, body, dict(request.headers))
        if complaint:
            self.refused.append(complaint)
            return web.json_response({"error": {"message": complaint, "type": "invalid_request_error"}}, status=400)
        script = self.scripts.get(body["model"], Script())
        bill = Bill(dialect)
        self.bills.append(bill)
        if isinstance(script.fails, int) and script.fails in (401, 429):
            return _error(script.fails)
        bill.input_tokens = input_tokens_of(dialect, body)
        if isinstance(script.fails, int):
            return _error(script.fails)
        if script.fails == "silence":
            await asyncio.sleep(30)
        if dialect == "embeddings":
            data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
            usage = tell(dialect, script, bill)
            return web.json_response({"object": "list", "data": data, "model": "m", **usage})
        if body.get("stream") is True:
            return await self._stream(request, dialect, body, script, bill)
        bill.output_tokens = (script.visible + script.hidden) * (body.get("n") or 1)
        await asyncio.sleep(script.pause_s)
        return web.json_response(whole_answer(dialect, body, script, bill))

    async def _stream(
        self, request: web.Request, dialect: str, body: Document, script: Script, bill: Bill
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        bill.output_tokens = script.hidden
        frames = stream_frames(dialect, body, script, bill)
        made = 0
        for tokens, event in frames:
            if script.fails and made >= script.fails_after:
                return await _fail(request, response, dialect, script)
            made += tokens
            bill.output_tokens += tokens
            await response.write(event)
            if tokens and script.pause_s:
                await asyncio.sleep(script.pause_s)
        await response.write_eof()
        return response


def _error(status: int) -> web.Response:
    return web.json_response({"error": {"message": "no", "type": "api_error"}}, status=status)


async def _fail(request: web.Request, response: web.StreamResponse, dialect: str, script: Script) -> web.StreamResponse:
    if script.fails == "stall":
        await asyncio.sleep(30)
    elif script.fails == "cut":
        assert request.transport is not None
        request.transport.abort()
        return response
    elif script.fails == "error-event":
        error = {"type": "error", "error": {"type": "api_error", "message": "no"}}
        await response.write((b"event: error\n" if dialect != "chat" else b"") + event_of(error))
    await response.write_eof()
    return response


@asynccontextmanager
async def run_billing() -> AsyncIterator[BillingProvider]:
    provider = BillingProvider()
    application = web.Application(client_max_size=1 << 27)
    for path in PATHS:
        application.router.add_post(path, provider.answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        await runner.cleanup()


def complaint_of(dialect: str, body: Document, headers: dict[str, str]) -> str:
    """What a real provider would refuse."""
    if "authorization" not in {name.lower() for name in headers} | (
        {"authorization"} if dialect == "messages" else set()
    ):
        return "no key"
    if dialect == "messages" and not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if "stream_options" in body and body.get("stream") is not True:
        return "stream_options is only allowed when stream is true"
    if dialect != "chat" and "include_usage" in json.dumps(body.get("stream_options")):
        return "Unknown parameter: stream_options.include_usage"
    if (limit := body.get("max_tokens") or body.get("max_completion_tokens") or 1) < 1:
        return f"max_tokens: {limit} is less than 1"
    return ""


def input_tokens_of(dialect: str, body: Document) -> int:
    """A token for four characters of text; pictures by the vendor's rule."""
    turns = body.get("messages") or body.get("input") or ""
    tokens = 12 + len(json.dumps(body.get("tools") or "")) // 4
    for part in _parts_of([turns, body.get("system")]):
        if isinstance(part, str):
            tokens += -(-len(part) // 4)
        else:
            tokens += _picture_tokens(part, tiled=dialect != "messages")
    return tokens


def _parts_of(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [part for each in value for part in _parts_of(each)]
    if not isinstance(value, dict):
        return []
    if value.get("type") in ("image", "image_url", "input_image"):
        return [value]
    return [part for name in ("content", "text", "input", "output", "arguments") for part in _parts_of(value.get(name))]


def _picture_tokens(part: Document, *, tiled: bool) -> int:
    given = part.get("image_url")
    url = given["url"] if isinstance(given, dict) else given or part["source"]["data"]
    width: int
    height: int
    width, height = struct.unpack(">II", base64.b64decode(url.rpartition(",")[2])[16:24])
    if not tiled:
        return -(-width * height // 750)
    return 85 + 170 * -(-width // 512) * -(-height // 512)


def tell(dialect: str, script: Script, bill: Bill, *, output: int | None = None) -> Document:
    """`usage` as a field of its document, by the truth or not."""
    asked, made = bill.input_tokens, bill.output_tokens if output is None else output
    if script.told == "never":
        return {}
    names = (
        ("prompt_tokens", "completion_tokens")
        if dialect in ("chat", "embeddings")
        else ("input_tokens", "output_tokens")
    )
    detail = f"{names[0]}_details"
    lies: dict[Told, Document] = {
        "negative": {names[0]: -5, names[1]: -made},
        "zero": {names[0]: 0, names[1]: 0},
        "huge": {names[0]: asked, names[1]: 10**15},
        "cached": {
            names[0]: asked,
            names[1]: made,
            detail: {"cached_tokens": asked * 9},
            "cache_read_input_tokens": 10**12,
        },
        "words": {names[0]: str(asked), names[1]: str(made)},
        "floats": {names[0]: asked + 0.0, names[1]: made + 0.0},
        "strange": {names[0]: {"n": asked}, names[1]: [made]},
        "beside": {names[0]: asked, names[1]: script.visible, "total_tokens": asked + made},
    }
    if script.told in lies:
        return {"usage": lies[script.told]}
    usage: Document = {names[0]: asked, names[1]: made}
    if dialect != "messages":
        usage |= {"total_tokens": asked + made, f"{names[1]}_details": {"reasoning_tokens": script.hidden}}
    return {"usage": usage}


def whole_answer(dialect: str, body: Document, script: Script, bill: Bill) -> Document:
    text = TOKEN * script.visible
    usage = tell(dialect, script, bill)
    if dialect == "chat":
        message = {"role": "assistant", "content": text}
        choices = [{"index": i, "message": message, "finish_reason": "stop"} for i in range(body.get("n") or 1)]
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, **usage}
    if dialect == "messages":
        content = [{"type": "text", "text": text}]
        head = {"id": "m", "type": "message", "role": "assistant", "model": "m"}
        return {**head, "content": content, "stop_reason": "end_turn", "stop_sequence": None, **usage}
    return response_document(script, "queued" if body.get("background") else "completed", usage)


def response_document(script: Script, status: str, usage: Document) -> Document:
    part = {"type": "output_text", "text": TOKEN * script.visible, "annotations": []}
    item = {"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [part]}
    output = [item] if status == "completed" else []
    usage = usage if output else {"usage": None}
    return {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": status, "output": output, **usage}


def event_of(document: Document) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


def stream_frames(dialect: str, body: Document, script: Script, bill: Bill) -> list[tuple[int, bytes]]:
    """Events, each with the tokens that it costs. Usage is told by what was made when it is told."""
    end = Bill(dialect, bill.input_tokens, script.hidden + script.visible * (body.get("n") or 1))
    steps = [min(script.per_event, script.visible - at) for at in range(0, script.visible, script.per_event)]
    if dialect == "chat":
        return _chat_frames(body, script, end, steps)
    if dialect == "messages":
        return _message_frames(script, end, steps)
    deltas = [
        (
            n,
            b"event: response.output_text.delta\n"
            + event_of({"type": "response.output_text.delta", "delta": TOKEN * n}),
        )
        for n in steps
    ]
    done = {
        "type": "response.completed",
        "response": response_document(script, "completed", tell(dialect, script, end)),
    }
    return [*deltas, (0, b"event: response.completed\n" + event_of(done))]


def _chat_frames(body: Document, script: Script, end: Bill, steps: list[int]) -> list[tuple[int, bytes]]:
    def chunk(choices: list[Document], **more: Any) -> bytes:
        return event_of(
            {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, **more}
        )

    count = range(body.get("n") or 1)
    frames = [
        (n, chunk([{"index": i, "delta": {"content": TOKEN * n}, "finish_reason": None}])) for n in steps for i in count
    ]
    frames += [(0, chunk([{"index": i, "delta": {}, "finish_reason": "stop"}])) for i in count]
    if (body.get("stream_options") or {}).get("include_usage"):
        frames.append((0, chunk([], **tell("chat", script, end))))
    return [*frames, (0, b"data: [DONE]\n\n")]


def _message_frames(script: Script, end: Bill, steps: list[int]) -> list[tuple[int, bytes]]:
    def named(kind: str, **more: Any) -> bytes:
        return f"event: {kind}\n".encode() + event_of({"type": kind, **more})

    head: Document = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
    }
    frames = [
        (0, named("message_start", message={**head, **tell("messages", script, end, output=1)})),
        (0, named("content_block_start", index=0, content_block={"type": "text", "text": ""})),
    ]
    frames += [
        (n, named("content_block_delta", index=0, delta={"type": "text_delta", "text": TOKEN * n})) for n in steps
    ]
    usage = tell("messages", script, end).get("usage") or {}
    last = {"usage": {name: value for name, value in usage.items() if name == "output_tokens"} if usage else {}}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        *frames,
        (0, named("content_block_stop", index=0)),
        (0, named("message_delta", delta=stop, **last)),
        (0, named("message_stop")),
    ]
