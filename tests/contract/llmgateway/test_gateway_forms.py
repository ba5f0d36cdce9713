"""Answers in another form than the one that was asked for are good answers: given on, and asked for once."""

import asyncio
import gzip
import json
import threading
import zlib
from collections.abc import Iterator

import httpx
import pytest
from contract.llmgateway.harness import Gateway, run_gateway

TEXT = "Grüezi 👩‍💻"
CHOICE = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
WHOLE = json.dumps({"id": "a", "object": "chat.completion", "model": "m", "choices": [CHOICE]}).encode()
PARTS = [{"content": TEXT[:3]}, {"content": TEXT[3:]}]
STREAM = (
    b"".join(
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode() + b"\n\n"
        for delta in PARTS
    )
    + b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
FORMS: dict[str, tuple[str, str, bytes]] = {
    "a whole answer": ("application/json", "", WHOLE),
    "a stream": ("Text/Event-Stream; charset=UTF-8", "", STREAM),
    "a whole answer without a type": ("", "", WHOLE),
    "deflate without its head": ("application/json", "deflate", zlib.compress(WHOLE, wbits=-15)),
    "gzip and identity": ("application/json", "gzip, identity", gzip.compress(WHOLE)),
    "an encoding that is none": ("application/json", "utf-8", WHOLE),
    "a chunk as a document": (
        "application/json",
        "",
        json.dumps({"choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": "stop"}]}).encode(),
    ),
}


class Server:
    """Answers each request in `form`, whatever it asks for."""

    def __init__(self) -> None:
        self.form = ""
        self.asked = 0
        self.loop = asyncio.new_event_loop()
        self._server = self.loop.run_until_complete(asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
        self.asked += 1
        kind, encoding, body = FORMS[self.form]
        lines = ["HTTP/1.1 200 OK", f"content-length: {len(body)}", "connection: close"]
        lines += [f"content-type: {kind}"] if kind else []
        lines += [f"content-encoding: {encoding}"] if encoding else []
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _close(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    url = f"http://127.0.0.1:{server.port}/v1"
    patient = {"connect": 60, "firstToken": 60}
    provider = {"name": "main", "type": "openai-compatible", "baseUrl": url, "model": "m", "timeouts": patient}
    with run_gateway(tmp_path_factory.mktemp("gateway"), {"providers": [provider]}) as gateway:
        yield gateway


def texts_of(answer: httpx.Response) -> str:
    """Every text in an answer or in its events."""
    if "event-stream" not in answer.headers["content-type"]:
        document = answer.json()
        return str(document["content"][0]["text"] if "content" in document else _said(document["choices"][0]))
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    if "choices" in events[0]:
        return "".join(_said(choice) for event in events for choice in event["choices"])
    return "".join(event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta")


def _said(choice: dict[str, dict[str, str]]) -> str:
    return (choice.get("message") or choice.get("delta") or {}).get("content") or ""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_given_on(server: Server, gateway: Gateway, form: str, path: str, *, stream: bool) -> None:
    server.form, server.asked = form, 0
    body = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    answer = httpx.post(gateway.url + path, json=body, timeout=60)
    assert (answer.status_code, texts_of(answer), server.asked) == (200, TEXT, 1), answer.text
