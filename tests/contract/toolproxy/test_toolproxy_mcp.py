"""The endpoint /mcp, request by request: both eras, every rung of the ladder."""

import asyncio
import base64
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from contract.toolproxy.toolproxy_harness import ToolProxy, modern_request

META = "io.modelcontextprotocol/"
CAPABILITIES = {
    "tools": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "prompts": {"listChanged": True},
    "completions": {},
    "logging": {},
}
ANNOUNCED = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    proxy = ToolProxy(tmp_path_factory.mktemp("mcp"), tools=[{"name": "sh"}, {"name": "git"}])
    yield proxy.start()
    proxy.close()


def post(proxy: ToolProxy, body: Any, **headers: str) -> httpx.Response:
    """Anything at all, as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    own = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    own |= {key.replace("_", "-"): value for key, value in headers.items()}
    return httpx.post(f"{proxy.url}/mcp", content=content, headers=own, timeout=30)


def rpc(method: str, params: Any = None, message_id: Any = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": message_id, "method": method, **({"params": params} if params is not None else {})}


def assert_error(answer: httpx.Response, status: int, code: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    return error


# 2026-07-28


def test_discover_names_versions_capabilities_and_caching(served: ToolProxy) -> None:
    result = served.post("server/discover").json()["result"]
    assert result["resultType"] == "complete"
    assert result["supportedVersions"] == ANNOUNCED
    assert result["capabilities"] == CAPABILITIES
    assert result["_meta"][META + "serverInfo"]["name"] == "agentberth-toolproxy"
    assert isinstance(result["ttlMs"], int)
    assert result["cacheScope"] == "private"


def test_list_is_deterministic_and_has_caching_hints(served: ToolProxy) -> None:
    first, second = (served.post("tools/list").json()["result"] for _ in range(2))
    assert first == second
    assert [tool["name"] for tool in first["tools"]] == ["git", "sh"]
    assert first["resultType"] == "complete"
    assert first["ttlMs"] >= 0
    assert first["cacheScope"] in ("public", "private")
    assert "nextCursor" not in first


def test_a_call_has_text_and_structured_content(served: ToolProxy) -> None:
    result = served.call("sh", {"args": ["-c", "echo hi"]})
    assert result["resultType"] == "complete"
    assert result["content"] == [{"type": "text", "text": "hi"}]
    assert result["structuredContent"]["exitCode"] == 0


def test_bad_arguments_are_a_result_that_a_model_can_repair(served: ToolProxy) -> None:
    result = served.call("sh", {"args": "not a list"})
    assert result["isError"] is True
    assert "invalid arguments" in result["content"][0]["text"]


@pytest.mark.parametrize("key", [META + "protocolVersion", META + "clientCapabilities"])
@pytest.mark.parametrize("value", [None, 7])
def test_required_meta_must_be_there_and_of_its_kind(served: ToolProxy, key: str, value: Any) -> None:
    request = modern_request("tools/list")
    request["json"]["params"]["_meta"][key] = value
    assert_error(httpx.post(f"{served.url}/mcp", **request), 400, -32602)


def test_modern_header_without_meta(served: ToolProxy) -> None:
    assert_error(post(served, rpc("tools/list"), MCP_Protocol_Version="2026-07-28"), 400, -32602)


@pytest.mark.parametrize(
    "headers",
    [
        {"MCP_Protocol_Version": "2025-11-25"},
        {"Mcp_Method": "tools/list"},
        {"Mcp_Method": "TOOLS/CALL"},
        {"Mcp_Name": "git"},
        {"Mcp_Name": "=?base64?!!!?="},
        {"Mcp_Name": "=?base64?/w==?="},
    ],
)
def test_headers_must_say_what_the_body_says(served: ToolProxy, headers: dict[str, str]) -> None:
    answer = served.post("tools/call", {"name": "sh"}, name="sh", **headers)
    assert_error(answer, 400, -32020)


@pytest.mark.parametrize("missing", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
def test_headers_must_be_there(served: ToolProxy, missing: str) -> None:
    request = modern_request("tools/call", {"name": "sh"}, name="sh")
    del request["headers"][missing]
    assert_error(httpx.post(f"{served.url}/mcp", **request), 400, -32020)


def test_a_repeated_header_is_refused(served: ToolProxy) -> None:
    request = modern_request("tools/list")
    headers = [*request["headers"].items(), ("Mcp-Method", "tools/list")]
    assert_error(httpx.post(f"{served.url}/mcp", json=request["json"], headers=headers), 400, -32020)


def test_a_name_may_come_encoded(served: ToolProxy) -> None:
    encoded = f"=?base64?{base64.b64encode(b'sh').decode()}?="
    assert served.post("tools/call", {"name": "sh"}, name="sh", Mcp_Name=encoded).status_code == 200


def test_an_unknown_version_names_the_known_ones(served: ToolProxy) -> None:
    params = {"_meta": {META + "protocolVersion": "2031-01-01"}}
    error = assert_error(served.post("tools/list", params, MCP_Protocol_Version="2031-01-01"), 400, -32022)
    assert error["data"] == {"supported": ANNOUNCED, "requested": "2031-01-01"}
    assert_error(post(served, rpc("tools/list"), MCP_Protocol_Version="2031-01-01"), 400, -32022)


@pytest.mark.parametrize(
    "method", ["ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "x"]
)
def test_methods_that_are_not_there_are_404_with_a_body(served: ToolProxy, method: str) -> None:
    assert_error(served.post(method), 404, -32601)


@pytest.mark.parametrize(
    "method,params,name",
    [
        ("tools/call", {"name": "none"}, "none"),
        ("tools/call", {"name": "sh", "arguments": []}, "sh"),
        ("tools/list", {"cursor": "never given"}, ""),
        ("tools/list", {"cursor": ""}, ""),
        ("tools/list", {"_meta": {META + "logLevel": "loud"}}, ""),
        ("subscriptions/listen", {}, ""),
    ],
)
def test_bad_params(served: ToolProxy, method: str, params: dict[str, Any], name: str) -> None:
    assert_error(served.post(method, params, name=name), 400, -32602)


def test_ids_come_back_as_they_were(served: ToolProxy) -> None:
    for message_id in ("text", 0, -5, 2**60, ""):
        request = modern_request("tools/list")
        request["json"]["id"] = message_id
        assert httpx.post(f"{served.url}/mcp", **request).json()["id"] == message_id


# Bodies and headers that belong to no era


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b'{"a": Infinity}', b"[" * 100_000])
def test_what_is_not_json(served: ToolProxy, body: bytes) -> None:
    answer = post(served, body)
    assert_error(answer, 400, -32700)
    assert "id" not in answer.json()


@pytest.mark.parametrize(
    "body",
    [
        1,
        "text",
        {},
        [],
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "ping"},
        {"jsonrpc": "2.0", "id": True, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": 5},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {}},
    ],
)
def test_what_is_not_a_message(served: ToolProxy, body: Any) -> None:
    assert_error(post(served, body), 400, -32600)


def test_media_types(served: ToolProxy) -> None:
    assert post(served, rpc("ping"), Content_Type="text/plain").status_code == 415
    assert post(served, rpc("ping"), Accept="text/html").status_code == 406
    assert post(served, rpc("ping"), Accept="*/*").json()["result"] == {}
    only_events = post(served, rpc("ping"), Accept="text/event-stream")
    assert only_events.headers["Content-Type"].startswith("text/event-stream")
    assert '"result":{}' in only_events.text
    assert served.post("subscriptions/listen", {"notifications": {}}, Accept="application/json").status_code == 406


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "PATCH"])
def test_only_post(served: ToolProxy, method: str) -> None:
    answer = httpx.request(method, f"{served.url}/mcp")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_large_bodies_are_refused(served: ToolProxy) -> None:
    assert post(served, b" " * (5 << 20)).status_code == 413


# The handshake revisions


@pytest.mark.parametrize(
    "asked,given",
    [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ],
)
def test_initialize(served: ToolProxy, asked: str, given: str) -> None:
    answer = post(served, rpc("initialize", {"protocolVersion": asked, "capabilities": {}, "clientInfo": {}}))
    result = answer.json()["result"]
    assert result["protocolVersion"] == given
    assert result["capabilities"] == CAPABILITIES
    assert len(answer.headers["Mcp-Session-Id"]) == 32
    assert not {"resultType", "ttlMs", "cacheScope"} & set(result)


def test_initialize_with_a_leaked_probe_header(served: ToolProxy) -> None:
    answer = post(served, rpc("initialize", {"protocolVersion": "2025-11-25"}), MCP_Protocol_Version="2026-07-28")
    assert answer.json()["result"]["protocolVersion"] == "2025-11-25"


@pytest.mark.parametrize("version", [None, "2025-03-26", "2025-06-18", "2025-11-25"])
def test_legacy_list_and_call_need_no_session(served: ToolProxy, version: str | None) -> None:
    headers = {"MCP_Protocol_Version": version} if version else {}
    listed = post(served, rpc("tools/list"), **headers, Mcp_Session_Id="left over").json()["result"]
    assert [tool["name"] for tool in listed["tools"]] == ["git", "sh"]
    assert set(listed) == {"tools"}
    result = post(served, rpc("tools/call", {"name": "sh", "arguments": {"args": ["-c", "echo x"]}}), **headers).json()[
        "result"
    ]
    assert result["content"] == [{"type": "text", "text": "x"}]
    modern_enough = version in ("2025-06-18", "2025-11-25")
    assert ("structuredContent" in result) == modern_enough
    assert ("outputSchema" in listed["tools"][0]) == modern_enough


def test_legacy_errors_ride_on_200(served: ToolProxy) -> None:
    assert_error(post(served, rpc("nothing/here")), 200, -32601)
    assert_error(post(served, rpc("tools/call", {"name": "none"})), 200, -32602)


@pytest.mark.parametrize("version", ["", "2025-11-25", "2026-07-28"])
def test_notifications_are_accepted(served: ToolProxy, version: str) -> None:
    headers = {"MCP_Protocol_Version": version} if version else {}
    body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    answer = post(served, body, **headers)
    assert (answer.status_code, answer.content) == (202, b"")
    assert_error(post(served, body, MCP_Protocol_Version="2031-01-01"), 400, -32022)


def test_responses_are_dropped_or_refused(served: ToolProxy) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "result": {}}
    assert post(served, body).status_code == 202
    assert_error(post(served, body, MCP_Protocol_Version="2026-07-28"), 400, -32600)


def test_batches_are_of_one_revision(served: ToolProxy) -> None:
    batch = [rpc("ping", message_id="a"), {"jsonrpc": "2.0", "method": "notifications/x"}, rpc("none", message_id="b")]
    answers = post(served, batch).json()
    assert [(each["id"], "result" in each) for each in answers] == [("a", True), ("b", False)]
    assert post(served, batch[1:2]).status_code == 202
    assert_error(post(served, batch, MCP_Protocol_Version="2025-06-18"), 400, -32600)
    assert_error(post(served, [rpc("initialize", {"protocolVersion": "2025-03-26"})]), 400, -32600)


# Streams


def events_of(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def test_listen_acknowledges_then_tells_of_changes(proxy: ToolProxy) -> None:
    proxy.write_config(tools=[{"name": "git"}])
    proxy.start()
    wanted = {"notifications": {"toolsListChanged": True, "promptsListChanged": True}}
    request = modern_request("subscriptions/listen", wanted)
    request["json"]["id"] = "L1"
    with httpx.stream("POST", f"{proxy.url}/mcp", timeout=20, **request) as answer:
        assert answer.headers["X-Accel-Buffering"] == "no"
        events = events_of(answer)
        first = next(events)
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"] == {
            "notifications": {"toolsListChanged": True, "promptsListChanged": True},
            "_meta": {META + "subscriptionId": "L1"},
        }
        proxy.write_config(tools=[{"name": "git"}, {"name": "sh"}])
        changed = next(events)
        assert changed["method"] == "notifications/tools/list_changed"
        assert changed["params"]["_meta"] == {META + "subscriptionId": "L1"}
        assert "sh" in proxy.tool_names()
        stopping = threading.Thread(target=proxy.stop)
        stopping.start()
        last = next(events)
        assert (last["id"], last["result"]["resultType"]) == ("L1", "complete")
        assert last["result"]["_meta"][META + "subscriptionId"] == "L1"
        assert next(events, None) is None
        stopping.join()


def test_an_unchanged_list_is_not_told(proxy: ToolProxy) -> None:
    proxy.write_config(tools=[{"name": "git"}])
    proxy.start()
    request = modern_request("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    with httpx.stream("POST", f"{proxy.url}/mcp", timeout=20, **request) as answer:
        events = events_of(answer)
        next(events)
        proxy.write_config(tools=[{"name": "git"}, {"name": "absent-tool", "required": False}])
        proxy.wait_for_state("absent-tool", "failed")
        proxy.write_config(tools=[{"name": "git"}, {"name": "sh"}])
        assert next(events)["method"] == "notifications/tools/list_changed"
        assert proxy.tool("sh")["state"] == "ready"


def test_a_modern_client_that_goes_away_cancels(served: ToolProxy) -> None:
    request = modern_request("tools/call", {"name": "sh", "arguments": {"args": ["-c", "sleep 3333"]}}, name="sh")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{served.url}/mcp", timeout=0.7, **request)
    served.wait_for(lambda: not served.sleepers())


def test_a_legacy_client_that_goes_away_does_not_cancel(served: ToolProxy) -> None:
    script = 'read -r line < legacy-go; echo "$line" > legacy-done'
    os.mkfifo(served.workspace / "legacy-go")
    call = rpc("tools/call", {"name": "sh", "arguments": {"args": ["-c", script]}})
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{served.url}/mcp", json=call, headers={"Accept": "application/json"}, timeout=0.7)
    (served.workspace / "legacy-go").write_text("still here\n")
    served.wait_for((served.workspace / "legacy-done").exists)


async def test_many_calls_at_once_get_their_own_answers(served: ToolProxy) -> None:
    async with httpx.AsyncClient(timeout=60) as client:

        async def one(number: int) -> str:
            arguments = {"args": ["-c", f"echo {number}"]}
            request = modern_request("tools/call", {"name": "sh", "arguments": arguments}, name="sh")
            request["json"]["id"] = number
            answer = (await client.post(f"{served.url}/mcp", **request)).json()
            assert answer["id"] == number
            return str(answer["result"]["content"][0]["text"])

        answers = await asyncio.gather(*(one(number) for number in range(30)))
    assert answers == [str(number) for number in range(30)]


# A large catalogue


def test_search_mode_lists_two_tools_and_reaches_all(proxy: ToolProxy) -> None:
    described = [
        {"name": name, "custom": {"name": name, "source": f"path:{program}", "description": text}}
        for name, program, text in (
            ("repository", "git", "Work with a source code repository."),
            ("shell", "sh", "Run a script."),
        )
    ]
    proxy.write_config(tools=described, listing="search")
    proxy.start()
    listed = proxy.post("tools/list").json()["result"]["tools"]
    assert [tool["name"] for tool in listed] == ["find_tool", "call_tool"]
    found = proxy.call("find_tool", {"query": "source code"})["structuredContent"]["tools"]
    assert [tool["name"] for tool in found] == ["repository"]
    assert "inputSchema" in found[0]
    result = proxy.call("call_tool", {"name": "shell", "arguments": {"args": ["-c", "echo found"]}})
    assert result["content"][0]["text"] == "found"
    assert proxy.call("call_tool", {"name": "nothing"})["error"]["code"] == -32602
    assert proxy.call("call_tool", {"name": "call_tool"})["error"]["code"] == -32602
    assert proxy.call("shell", {"args": ["-c", "echo direct"]})["content"][0]["text"] == "direct"
