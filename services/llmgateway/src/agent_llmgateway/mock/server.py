"""The mock provider over HTTP: answers by its script, and breaks off where that says so."""

import asyncio
import itertools
import json
import logging
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from agent_llmgateway.mock import answers, responses
from agent_llmgateway.mock.faults import FAULTS, FOREVER_S, close_connection
from agent_llmgateway.mock.journal import Journal, JournalEntry
from agent_llmgateway.mock.script import MockScript, Reply, ScriptedError, parse_script
from agent_llmgateway.wire.tokencount import COUNTS

_log = logging.getLogger(__name__)
_PATHS: Final = {
    "/chat/completions": "chat",
    "/responses": "responses",
    "/embeddings": "embeddings",
    "/messages": "messages",
    "/messages/count_tokens": "count_tokens",
    "/responses/input_tokens": "input_tokens",
}


class MockServer:
    """A provider. `open_to_tests` adds `/_mock/...`: the journal, and a new script at run time."""

    def __init__(self, script: MockScript, *, open_to_tests: bool = False) -> None:
        self.script = script
        self.journal = Journal(keep_documents=open_to_tests)
        self._given: dict[str, int] = {}
        self._answers = itertools.count()
        self._open_to_tests = open_to_tests
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port. Raises OSError."""
        server = web.Server(self._answer, handler_cancellation=True, access_log=None, request_factory=_make_request)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, backlog=4096, reuse_address=True)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if self._open_to_tests and path.startswith("/_mock/"):
            return await self._answer_test(request)
        if path.endswith("/models") and request.method == "GET":
            models = [{"id": m, "object": "model", "created": 0, "owned_by": "mock"} for m in self.script.models]
            return web.json_response({"object": "list", "data": models})
        dialect = next((name for end, name in _PATHS.items() if path.endswith(end)), None)
        if dialect is None or request.method != "POST":
            return web.json_response({"error": {"message": "no such path", "type": "not_found_error"}}, status=404)
        body = await request.read()
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            error = ScriptedError(type="invalid_request_error", message="not JSON")
            return web.json_response(answers.error_document(error, dialect, 400), status=400)
        entry = self.journal.begin(dialect, str(document.get("model", "")), body, request.headers)
        return await self._play(request, CompletionHandler(dialect, document, body, entry))

    async def _play(self, request: web.BaseRequest, exchange: "CompletionHandler") -> web.StreamResponse:
        entry = exchange.entry
        try:
            response = await self._reply(request, exchange)
        except asyncio.CancelledError:
            entry.end("client-gone")
            raise
        except ConnectionError:
            entry.end("client-gone")
            return web.Response()
        entry.end("answered")
        if self.script.close_after_answer:
            if not response.prepared:
                await response.prepare(request)
            await response.write_eof()
            close_connection(request)
        return response

    async def _reply(self, request: web.BaseRequest, exchange: "CompletionHandler") -> web.StreamResponse:
        refused = self._check_key(request)
        if refused is not None:
            return web.json_response(answers.error_document(refused, exchange.dialect, 401), status=401)
        reply = self.script.find_reply(
            exchange.model, exchange.dialect, exchange.body, stream=exchange.stream, given=self._given
        ).with_call_ids(next(self._answers))
        await asyncio.sleep(reply.delay_seconds)
        if reply.fault in ("reset-before-headers", "silence"):
            exchange.entry.end("faulted") if reply.fault != "silence" else None
            return await FAULTS[reply.fault](request)
        if reply.status != 200:
            document = answers.error_document(reply.error, exchange.dialect, reply.status)
            return web.json_response(document, status=reply.status, headers=reply.headers)
        if exchange.stream and reply.fault == "not-json":
            return web.Response(text="<html>a proxy's page</html>", content_type="text/html")
        if exchange.stream and exchange.dialect in ("chat", "messages", "responses"):
            return await _Streaming(request, reply, exchange).run()
        return await _answer_whole(request, reply, exchange)

    def _check_key(self, request: web.BaseRequest) -> ScriptedError | None:
        key = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get("x-api-key", "")
        if not self.script.keys or key in self.script.keys:
            return None
        return ScriptedError(
            type="authentication_error", code="invalid_api_key", message=f"Incorrect API key provided: {key}"
        )

    async def _answer_test(self, request: web.BaseRequest) -> web.Response:
        what = request.path.removeprefix("/_mock/")
        if what == "script" and request.method == "PUT":
            self.script = parse_script(await request.json(), where="script")
            self._given.clear()
        elif what == "journal" and request.method == "DELETE":
            self.journal.clear()
        elif what == "counts":
            return web.json_response(dict(self.journal.counts))
        return web.json_response(self.journal.entries(request.query.get("model")) if what == "journal" else {})


class CompletionHandler:
    """One request and what it asks for."""

    def __init__(self, dialect: str, document: dict[str, Any], body: bytes, entry: JournalEntry) -> None:
        self.dialect = dialect
        self.document = document
        self.body = body
        self.entry = entry
        self.model = entry.model
        self.stream = document.get("stream") is True

    def text(self, reply: Reply) -> str:
        """The reply's text with what it stands for."""
        if "{" not in reply.text:
            return reply.text
        return reply.text.replace("{model}", self.model).replace("{prompt}", self._prompt())

    def _prompt(self) -> str:
        turns = self.document.get("messages") or self.document.get("input")
        last = turns[-1] if isinstance(turns, list) and turns else turns
        content = last.get("content", "") if isinstance(last, dict) else last
        if isinstance(content, list):
            return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        return str(content)


class _Streaming:
    def __init__(self, request: web.BaseRequest, reply: Reply, exchange: CompletionHandler) -> None:
        self._request = request
        self._reply = reply
        self._complete = exchange
        self._response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **reply.headers})

    async def run(self) -> web.StreamResponse:
        """Send the events, up to the fault."""
        reply = self._reply
        await self._response.prepare(self._request)
        outputs = 0
        for index, frame in enumerate(self._frames()):
            if index == 1:
                await asyncio.sleep(reply.first_token_delay_seconds)
            at_once = reply.fault in ("reset-after-headers", "error-first-event")
            if reply.fault and outputs == reply.fault_after and (frame.output or at_once):
                done = await self._break(reply.fault)
                if done:
                    return self._response
            if frame.sentinel and reply.fault in ("no-done", "no-done-open"):
                await asyncio.sleep(FOREVER_S if reply.fault == "no-done-open" else 0)
                break
            await self._response.write(frame.data)
            outputs += frame.output
            self._complete.entry.events += 1
            if frame.output and reply.chunk_delay_seconds:
                await asyncio.sleep(reply.chunk_delay_seconds)
        return self._response

    def _frames(self) -> list[answers.Frame]:
        reply, exchange = self._reply, self._complete
        text = exchange.text(reply)
        if exchange.dialect == "chat":
            options = exchange.document.get("stream_options") or {}
            with_usage = options.get("include_usage") is True
            return answers.chat_frames(reply, text, exchange.model, with_usage=with_usage)
        if exchange.dialect == "messages":
            return answers.message_frames(reply, text, exchange.model)
        return responses.response_frames(reply, text, exchange.model)

    async def _break(self, fault: str) -> bool:
        """Do the fault; True when the stream is over with it."""
        if fault == "malformed-event":
            await self._response.write(b'data: {"choices": [{"delta": {"content": \n\n')
            self._reply = self._reply.model_copy(update={"fault": None})
            return False
        if fault in ("no-done", "no-done-open"):
            return False
        if fault in ("error-event", "error-first-event"):
            dialect = self._complete.dialect
            document = answers.error_document(self._reply.error, dialect, 500)
            name = b"" if dialect == "chat" else b"event: error\n"
            if dialect == "responses":
                document = {"type": "error", **document}
            await self._response.write(name + b"data: " + json.dumps(document).encode() + b"\n\n")
            return True
        if fault == "clean-end":
            return True
        if fault == "stall":
            await asyncio.sleep(FOREVER_S)
        self._complete.entry.end("faulted")
        await FAULTS["cut" if fault == "cut" else "reset-before-headers"](self._request)
        return True


async def _answer_whole(request: web.BaseRequest, reply: Reply, exchange: CompletionHandler) -> web.StreamResponse:
    body = json.dumps(_whole_document(reply, exchange)).encode()
    headers = {"Content-Type": "application/json", **reply.headers}
    if reply.fault in ("malformed-event", "not-json"):
        return web.Response(body=body[: len(body) // 2], headers=headers)
    if reply.fault in ("error-event", "error-first-event"):
        document = answers.error_document(reply.error, exchange.dialect, 500)
        return web.json_response(document, headers=reply.headers)
    if reply.fault in ("cut", "clean-end", "stall", "reset-after-headers"):
        response = web.StreamResponse(headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(b"" if reply.fault == "reset-after-headers" else body[: len(body) // 2])
        if reply.fault == "stall":
            await asyncio.sleep(FOREVER_S)
        exchange.entry.end("faulted")
        return await FAULTS["reset-before-headers" if reply.fault == "reset-after-headers" else "cut"](request)
    return web.Response(body=body, headers=headers)


def _whole_document(reply: Reply, exchange: CompletionHandler) -> dict[str, Any]:
    text = exchange.text(reply)
    if exchange.dialect == "chat":
        return answers.chat_answer(reply, text, exchange.model)
    if exchange.dialect == "messages":
        return answers.message_answer(reply, text, exchange.model)
    if exchange.dialect in COUNTS:
        return {
            **COUNTS[exchange.dialect],
            "input_tokens": reply.usage.input if reply.usage else len(exchange.body) // 4,
        }
    if exchange.dialect == "responses":
        return responses.response_answer(reply, text, exchange.model)
    asked = exchange.document.get("input")
    count = len(asked) if isinstance(asked, list) and asked and not isinstance(asked[0], int) else 1
    as_base64 = exchange.document.get("encoding_format") == "base64"
    return answers.embeddings_answer(reply, exchange.model, count, as_base64=as_base64)


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:  # noqa: ANN401
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=1 << 30
    )
