"""The gateway's own door: who is served, and what of a provider's answer gets out."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic import Anthropic
from openai import OpenAI

from agent_kit.boundedsite import MOST_CONNECTIONS

from .harness import PATHS, Dialect, Gateway, request_body, run_gateway

TOKEN = "a-token-of-this-run-alone"
DIALECTS: tuple[Dialect, ...] = ("chat", "messages", "responses", "embeddings")
MOCK = {"providers": [{"name": "main", "type": "mock", "options": {"replies": [{"text": "ahoy"}]}}]}
KEY = "sk-c4naryc4naryc4naryc4nary"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(TOKEN + "\n")
    with run_gateway(folder, MOCK, flags=["--token", str(folder / "token")]) as gateway:
        yield gateway


def post(gateway: Gateway, dialect: Dialect = "chat", **headers: str) -> httpx.Response:
    return httpx.post(gateway.url + PATHS[dialect], json=request_body(dialect, "mock"), headers=headers)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
def test_the_token_opens_every_path(guarded: Gateway, dialect: Dialect, name: str) -> None:
    value = f"Bearer {TOKEN}" if name == "authorization" else TOKEN
    assert post(guarded, dialect, **{name: value}).status_code == 200


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("shown", [None, "Bearer held-by-the-gateway", f"Bearer {TOKEN}x", "Bearer", f"Basic {TOKEN}"])
def test_without_it_nothing_is_answered(guarded: Gateway, dialect: Dialect, shown: str | None) -> None:
    answer = post(guarded, dialect, **({"authorization": shown} if shown else {}))
    assert answer.status_code == 401
    assert "OPENAI_API_KEY" in answer.json()["error"]["message"]


def test_the_token_may_stand_in_the_address(guarded: Gateway) -> None:
    base = f"{guarded.url}/t/{TOKEN}"
    assert httpx.post(base + PATHS["chat"], json=request_body("chat", "mock")).status_code == 200
    assert httpx.get(f"{base}/v1/models").status_code == 200
    assert httpx.get(f"{guarded.url}/t/{TOKEN[:-1]}/v1/models").status_code == 401
    assert httpx.get(f"{base}/t/{TOKEN}/v1/models").status_code == 404


def test_the_list_of_models_is_the_agents_too(guarded: Gateway) -> None:
    assert httpx.get(f"{guarded.url}/v1/models").status_code == 401
    assert httpx.get(f"{guarded.url}/v1/models", headers={"x-api-key": TOKEN}).status_code == 200


def test_unmodified_clients_show_it_as_their_key(guarded: Gateway) -> None:
    with (
        OpenAI(base_url=f"{guarded.url}/v1", api_key=TOKEN) as openai,
        Anthropic(base_url=guarded.url, api_key=TOKEN) as anthropic,
    ):
        said = openai.chat.completions.create(model="mock", messages=[{"role": "user", "content": "?"}])
        answer = anthropic.messages.create(model="mock", max_tokens=9, messages=[{"role": "user", "content": "?"}])
    assert said.choices[0].message.content == "ahoy"
    assert answer.content[0].text == "ahoy"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:8801"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": "multipart/form-data; boundary=x"}, 415),
        ({"content-type": "text/plain; application/json"}, 415),
        ({"content-type": ""}, 415),
    ],
)
def test_a_web_page_gets_nothing_even_with_the_token(guarded: Gateway, headers: dict[str, str], status: int) -> None:
    given = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", **headers}
    answer = httpx.post(guarded.url + PATHS["chat"], content=json.dumps(request_body("chat", "mock")), headers=given)
    assert answer.status_code == status
    assert "ahoy" not in answer.text


def test_a_token_that_cannot_be_used_ends_the_gateway(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    gateway = Gateway(tmp_path, MOCK, flags=["--token", str(tmp_path / "token")])
    try:
        assert gateway.popen.wait(15) == 1
        assert "not a token" in gateway.log
        assert "Traceback" not in gateway.log
    finally:
        gateway.stop()


ESCAPED = "".join(f"\\u{ord(letter):04x}" for letter in KEY)
UPPER = "".join(f"\\u{ord(letter):04X}" for letter in KEY)
MIXED = "".join(letter if at % 2 else f"\\u00{ord(letter):02x}" for at, letter in enumerate(KEY))


class Echo:
    """A provider that answers every request with the bytes it was given last."""

    def __init__(self) -> None:
        self.content = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def answer(self, head: str, body: str) -> None:
        self.content = f"HTTP/1.1 {head}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n{body}".encode(
            "latin-1"
        )

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(self.content)

    def close(self) -> None:
        self._socket.close()


class Echoing:
    """A gateway before two such providers of one address; `look` gives everything that the agent sees of a call."""

    def __init__(self, gateway: Gateway, provider: Echo) -> None:
        self._gateway, self._provider = gateway, provider

    def look(
        self, head: str, body: str, *, stream: bool = False, dialect: Dialect = "chat", kind: str = "openai"
    ) -> str:
        self._provider.answer(head, body)
        with httpx.Client(timeout=20) as client:
            request = request_body(dialect, f"{kind}/m", stream=stream)
            with client.stream("POST", self._gateway.url + PATHS[dialect], json=request) as answer:
                seen = f"{answer.status_code} {dict(answer.headers)}"
                with suppress(httpx.RemoteProtocolError):
                    for piece in answer.iter_text():
                        seen += piece
        return seen + self._gateway.ops.get("/report").text + self._gateway.ops.get("/metrics").text + self._gateway.log


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echoing]:
    folder = tmp_path_factory.mktemp("echoing")
    (folder / "keys").mkdir()
    (folder / "keys" / "api-key").write_text(KEY)
    provider = Echo()
    shared = {"baseUrl": provider.url, "credentials": str(folder / "keys"), "model": "m"}
    providers = [{"name": kind, "type": kind, **shared} for kind in ("openai", "anthropic")]
    limits = {"triesPerProvider": 1, "triesPerRequest": 1, "breakerFailures": 1000}
    with run_gateway(folder, {"providers": providers, "limits": limits}) as gateway:
        yield Echoing(gateway, provider)
    provider.close()


@pytest.mark.parametrize("prefix", ["x-ratelimit-", "anthropic-ratelimit-", "X-RateLimit-Limit-"])
def test_no_name_of_a_header_brings_a_key_back(echoing: Echoing, prefix: str) -> None:
    for name in (f"{prefix}{KEY}", f"{prefix}{KEY.upper()}", f"{prefix}a-{KEY.encode().hex()}"):
        assert KEY not in echoing.look(f"200 OK\r\ncontent-type: application/json\r\n{name}: 1", ANSWER).lower()


@pytest.mark.parametrize("at", [200, 246, 250])
def test_no_cut_brings_the_beginning_of_a_key_back(echoing: Echoing, at: int) -> None:
    head = f"200 OK\r\ncontent-type: application/json\r\nx-request-id: {'x' * at}{KEY}"
    assert KEY[:6] not in echoing.look(head, ANSWER)
    message = "word " * 398 + f"Bearer={KEY}"
    error = json.dumps({"error": {"message": message, "type": "t"}})
    seen = echoing.look("500 Oops\r\ncontent-type: application/json", error)
    assert KEY[:12] not in seen


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_no_encoding_of_an_error_brings_a_key_back(echoing: Echoing, encoding: str) -> None:
    error = json.dumps({"error": {"message": f"no {KEY}", "type": "t"}})
    for status in ("400 Bad Request", "401 Unauthorized", "500 Oops"):
        body = error.encode(encoding).decode("latin-1")
        seen = echoing.look(f"{status}\r\ncontent-type: application/json", body)
        assert KEY not in seen.replace("\0", "").replace("\\u0000", "")


def test_no_text_in_the_text_of_an_error_brings_a_key_back(echoing: Echoing) -> None:
    basic = base64.b64encode(f"Authorization: Bearer {KEY}\r\n".encode()).decode()
    for echo in (ESCAPED.replace("\\", "\\\\"), basic, KEY.encode().hex(), "".join(f"%{ord(c):02x}" for c in KEY)):
        error = f'{{"error":{{"message":"sent: {echo}","type":"t"}},"request":{{"{echo}":"{echo}"}}}}'
        seen = echoing.look("400 Bad Request\r\ncontent-type: application/json", error)
        assert echo not in seen
        assert ESCAPED not in seen
        assert basic[20:40] not in seen


ANSWER = json.dumps({"choices": [{"message": {"content": "ahoy"}, "finish_reason": "stop"}], "model": "m"})


@pytest.mark.parametrize(
    "name",
    [
        "x-request-id",
        "x-ratelimit-limit-requests",
        "openai-model",
        "openai-version",
        "anthropic-ratelimit-x",
        "request-id",
        "openai-processing-ms",
    ],
)
def test_no_header_brings_a_key_back(echoing: Echoing, name: str) -> None:
    seen = echoing.look(f"200 OK\r\ncontent-type: application/json\r\n{name}: Bearer {KEY}", ANSWER)
    assert seen.startswith("200")
    assert KEY not in seen


@pytest.mark.parametrize("spelling", [KEY, ESCAPED, UPPER, MIXED])
@pytest.mark.parametrize("field", ["message", "type", "code", "param", "extra"])
@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "500 Oops"])
def test_no_field_of_an_error_brings_a_key_back(echoing: Echoing, status: str, field: str, spelling: str) -> None:
    error = {"message": "no", "type": "t", "code": "c", "param": "p", "extra": "e", field: "@"}
    body = json.dumps({"error": {**error, "deep": [{field: "@"}]}, "echo": "@"}).replace("@", spelling)
    seen = echoing.look(f"{status}\r\ncontent-type: application/json", body)
    assert KEY not in seen
    assert ESCAPED.lower() not in seen.lower()
    assert MIXED not in seen


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_error_in_a_translated_answer_brings_a_key_back(echoing: Echoing, dialect: Dialect, stream: bool) -> None:
    kind = "openai" if dialect == "messages" else "anthropic"
    body = (
        f'{{"type":"error","error":{{"type":"{ESCAPED}","code":"{ESCAPED}","param":"{MIXED}","message":"{ESCAPED}"}}}}'
    )
    seen = echoing.look("400 Bad\r\ncontent-type: application/json", body, dialect=dialect, kind=kind, stream=stream)
    assert KEY not in seen
    assert ESCAPED not in seen


def test_an_error_event_in_the_middle_of_a_stream_brings_no_key_back(echoing: Echoing) -> None:
    first = 'data: {"choices":[{"delta":{"content":"ahoy"}}]}\n\n'
    last = f'data: {{"error":{{"message":"{ESCAPED}","type":"{ESCAPED}","code":"{MIXED}","param":"{UPPER}"}}}}\n\n'
    seen = echoing.look("200 OK\r\ncontent-type: text/event-stream", first + last, stream=True)
    assert KEY not in seen
    assert ESCAPED not in seen


def test_a_body_that_does_not_come_costs_the_client_its_connection_and_nobody_else(guarded: Gateway) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {TOKEN}\r\n"
    head += "content-type: application/json\r\ncontent-length: 100000\r\n\r\n{"
    waiting = [socket.create_connection(("127.0.0.1", guarded.port)) for _ in range(64)]
    for connection in waiting:
        connection.sendall(head.encode())
    began = time.monotonic()
    assert post(guarded, authorization=f"Bearer {TOKEN}").status_code == 200
    assert guarded.ops.get("/livez").status_code == 200
    assert time.monotonic() - began < 20
    for connection in waiting:
        connection.close()


def test_connections_that_send_nothing_do_not_keep_others_out_for_longer_than_they_last(guarded: Gateway) -> None:
    address = ("127.0.0.1", httpx.URL(guarded.url).port or 0)
    idle = [socket.create_connection(address, timeout=20) for _ in range(MOST_CONNECTIONS)]
    try:
        with socket.create_connection(address, timeout=20) as late, late.makefile("rb") as answer:
            assert answer.readline().startswith(b"HTTP/1.1 503 ")
    finally:
        for each in idle:
            each.close()
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at:
        with suppress(httpx.TransportError):
            if post(guarded, authorization=f"Bearer {TOKEN}").status_code == 200:
                return
    pytest.fail("the gateway takes no connection again")
