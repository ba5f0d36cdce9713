"""The tool proxy's door: the address that holds the token, and nothing else, for MCP and REST alike."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from mcp import Client

from .toolproxy_harness import ToolProxy, modern_request

TOKEN = "a-token-of-this-run-alone"
BESIDE = f"/t/{TOKEN}"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    proxy = ToolProxy(tmp_path_factory.mktemp("guarded"))
    (proxy.config_file.parent / "token").write_text(TOKEN)
    try:
        yield proxy.start()
    finally:
        proxy.close()


@pytest.mark.parametrize("path", ["/v1/tools", "/v1/memory", "/v1/tools/git", "/mcp", "/nowhere", "/t/x/v1/tools"])
def test_without_the_token_nothing_is_answered(guarded: ToolProxy, path: str) -> None:
    for shown in ({}, {"authorization": "Bearer held-by-the-gateway"}, {"authorization": TOKEN[:-1]}):
        for answer in (
            httpx.get(guarded.url + path, headers=shown),
            httpx.post(guarded.url + path, json={}, headers=shown),
        ):
            assert answer.status_code in (401, 404)
            assert answer.status_code == 401 or path == "/nowhere"
            assert TOKEN not in answer.text


def test_the_address_with_the_token_serves_rest(guarded: ToolProxy) -> None:
    assert httpx.get(f"{guarded.url}{BESIDE}/v1/tools").json() == {"tools": []}
    assert httpx.get(f"{guarded.url}/v1/tools", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("prefix", [BESIDE, ""])
def test_and_mcp(guarded: ToolProxy, prefix: str) -> None:
    request = modern_request("tools/list")
    request["headers"]["Authorization"] = f"Bearer {TOKEN}" if not prefix else "Bearer of-something-else"
    assert httpx.post(f"{guarded.url}{prefix}/mcp", **request).json()["result"]["tools"] == []


async def test_an_unmodified_client_needs_the_address_alone(guarded: ToolProxy) -> None:
    async with Client(f"{guarded.url}{BESIDE}/mcp") as client:
        assert (await client.list_tools()).tools == []


@pytest.mark.parametrize(
    "given", [{"origin": "http://evil.example"}, {"host": "evil.example"}, {"content-type": "text/plain"}]
)
@pytest.mark.parametrize("path", ["/mcp", "/v1/tools/git:run"])
def test_a_web_page_gets_nothing_even_with_the_token(guarded: ToolProxy, path: str, given: dict[str, str]) -> None:
    answer = httpx.post(
        f"{guarded.url}{BESIDE}{path}", content="{}", headers={"content-type": "application/json", **given}
    )
    assert answer.status_code in (403, 415, 421)


def test_the_token_is_in_no_log(guarded: ToolProxy) -> None:
    httpx.get(f"{guarded.url}{BESIDE}/v1/nothing")
    httpx.post(f"{guarded.url}{BESIDE}/mcp", content=b"{", headers={"content-type": "application/json"})
    assert TOKEN not in guarded.log.read_text()


def test_a_token_that_cannot_be_used_ends_the_proxy(tmp_path: Path) -> None:
    proxy = ToolProxy(tmp_path)
    (proxy.config_file.parent / "token").write_text("short")
    with pytest.raises(AssertionError, match="ended with 1"):
        proxy.start()
    assert "not a token" in proxy.log.read_text()
    proxy.close()


BEGINNINGS = {
    "nothing": b"",
    "half_a_head": b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le",
    "half_a_body": f"POST {BESIDE}/mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    "Content-Length: 100\r\n\r\n{".encode(),
}
LONGEST_S = 150.0
"""Twice of what a connection may take at most."""


@pytest.mark.skipif(not os.environ.get("AGENTBERTH_WHOLE"), reason="waits for more than a minute: AGENTBERTH_WHOLE=1")
@pytest.mark.timeout(400)
def test_who_begins_a_request_and_stops_loses_the_connection(guarded: ToolProxy) -> None:
    host, _, port = guarded.url.removeprefix("http://").partition(":")
    deadline = time.monotonic() + LONGEST_S
    with ExitStack() as stack:
        opened = {name: stack.enter_context(socket.create_connection((host, int(port)))) for name in BEGINNINGS}
        for name, beginning in BEGINNINGS.items():
            opened[name].sendall(beginning)
        for name, connection in opened.items():
            connection.settimeout(max(1.0, deadline - time.monotonic()))
            while answer := connection.recv(65536):
                assert name != "nothing", answer
