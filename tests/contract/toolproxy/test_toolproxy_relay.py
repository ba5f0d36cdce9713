"""Resources, prompts, logs and questions through the proxy: who gets what, and that nobody gets what is another's."""

import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
from contract.toolproxy.toolproxy_harness import ToolProxy, modern_request
from mcp.client import Client

KEY = "a-credential-of-the-server"
SERVER = f"#!{sys.executable}\n" + Path(__file__).with_name("offering_server.py").read_text()
ACCEPT = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
FORM: dict[str, Any] = {"elicitation": {}}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    """Two servers that have the same resources."""
    made = ToolProxy(tmp_path_factory.mktemp("relay"))
    made.add_program("offering-server", SERVER)
    made.write_credential("keys", "key", KEY)
    tools = []
    for name in ("first", "second"):
        source = {"name": name, "source": "mcp+stdio:path:offering-server", "arguments": [name]}
        tools.append(
            {"name": name, "custom": {**source, "credentialEnvironment": {"KEY": "key"}}, "credentials": "keys"}
        )
    made.write_config(tools=tools)
    try:
        yield made.start()
    finally:
        made.close()


class Session:
    """A client of a handshake revision, message by message."""

    def __init__(self, proxy: ToolProxy, capabilities: dict[str, Any]) -> None:
        self.client = httpx.Client(timeout=30)
        self.url = f"{proxy.url}/mcp"
        self.headers = dict(ACCEPT)
        params = {"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {}}
        answer = self.client.post(self.url, headers=self.headers, json=rpc("initialize", params))
        self.headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.delete(self.url, headers=self.headers)
        self.client.close()

    def post(self, message: dict[str, Any]) -> httpx.Response:
        return self.client.post(self.url, headers=self.headers, json=message)

    def call(self, name: str, **arguments: Any) -> list[dict[str, Any]]:
        """Every message that comes, the response last; questions are answered with this client's name."""
        seen = []
        request = rpc("tools/call", {"name": name, "arguments": arguments})
        with (
            httpx.Client(timeout=30) as client,
            client.stream("POST", self.url, headers=self.headers, json=request) as answer,
        ):
            if answer.headers["Content-Type"].startswith("application/json"):
                return [json.loads(answer.read())]
            for message in events_of(answer):
                seen.append(message)
                if "method" in message and "id" in message:
                    said = {"action": "accept", "content": {"name": self.headers["Mcp-Session-Id"]}}
                    self.post({"jsonrpc": "2.0", "id": message["id"], "result": said})
        return seen

    @contextmanager
    def stream(self) -> Iterator[Iterator[dict[str, Any]]]:
        with httpx.Client(timeout=30) as client, client.stream("GET", self.url, headers=self.headers) as answer:
            assert answer.status_code == 200
            yield events_of(answer)


def rpc(method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}


def events_of(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line.removeprefix("data: "))


def text_of(message: dict[str, Any]) -> Any:
    return json.loads(message["result"]["content"][0]["text"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_lists_are_one_and_say_whose_each_entry_is(proxy: ToolProxy, mode: Any) -> None:
    async with Client(f"{proxy.url}/mcp", mode=mode) as client:
        resources = [str(each.uri) for each in (await client.list_resources()).resources]
        assert resources[:2] == ["note://shared", "note://folder/one"]
        assert resources[2:] == ["second+note://shared", "second+note://folder/one"]
        templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        assert templates == ["note://folder/{name}", "second+note://folder/{name}"]
        prompts = [each.name for each in (await client.list_prompts()).prompts]
        assert len(prompts) == 2
        assert all(name.replace("-", "_").replace("_", "").isalnum() for name in prompts)
        owner = {}
        for uri in ("note://shared", "second+note://shared", "note://folder/new", "second+note://folder/new"):
            content = (await client.read_resource(uri)).contents[0]
            owner[uri] = content.text.partition(":")[0]  # type: ignore[union-attr]
            assert str(content.uri) == uri
        assert owner == {
            "note://shared": "first",
            "second+note://shared": "second",
            "note://folder/new": "first",
            "second+note://folder/new": "second",
        }
        got = await client.get_prompt(prompts[0], {"who": "Ada"})
        assert "Greet Ada" in got.messages[0].content.text  # type: ignore[union-attr]


def test_credentials_are_masked_wherever_a_server_puts_them(proxy: ToolProxy) -> None:
    prompt = proxy.post("prompts/list").json()["result"]["prompts"][0]["name"]
    texts = [
        proxy.post("resources/list").text,
        proxy.post("resources/read", {"uri": "note://shared"}, name="note://shared").text,
        proxy.post("prompts/get", {"name": prompt, "arguments": {"who": "Ada"}}, name=prompt).text,
    ]
    with Session(proxy, FORM) as session:
        texts += [json.dumps(session.call("second__log")), json.dumps(session.call("second__ask"))]
    assert all("the key is" in each.lower() for each in texts)
    assert not any(KEY in each for each in texts)


def test_what_nobody_has_is_said_in_the_words_of_each_era(proxy: ToolProxy) -> None:
    modern = proxy.post("resources/read", {"uri": "other://x"}, name="other://x")
    assert (modern.status_code, modern.json()["error"]["code"]) == (400, -32602)
    assert modern.json()["error"]["data"] == {"uri": "other://x"}
    with Session(proxy, {}) as session:
        assert session.post(rpc("resources/read", {"uri": "other://x"})).json()["error"]["code"] == -32002
        assert session.post(rpc("prompts/get", {"name": "none"})).json()["error"]["code"] == -32602
        ref = {"type": "ref/resource", "uri": "second+note://folder/{name}"}
        asked = {"ref": ref, "argument": {"name": "name", "value": "v"}}
        completion = session.post(rpc("completion/complete", asked)).json()["result"]["completion"]
        assert len(completion["values"]) == 100


def test_a_question_reaches_the_client_whose_call_it_is_about(proxy: ToolProxy) -> None:
    with Session(proxy, FORM) as one, Session(proxy, FORM) as other, ThreadPoolExecutor(2) as pool:
        names = {"first": one, "second": other}
        calls = {name: pool.submit(session.call, f"{name}__ask") for name, session in names.items()}
        for name, session in names.items():
            *before, last = calls[name].result()
            assert [each["method"] for each in before] == ["elicitation/create"]
            assert text_of(last) == {"action": "accept", "content": {"name": session.headers["Mcp-Session-Id"]}}


def test_a_question_that_might_be_for_another_client_reaches_nobody(proxy: ToolProxy) -> None:
    with Session(proxy, FORM) as one, Session(proxy, FORM) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.call, "second__wait")
        seen: list[dict[str, Any]] = []

        def refused() -> bool:
            seen[:] = other.call("second__ask")
            return bool(text_of(seen[-1]).get("code") == -32601)

        proxy.wait_for(refused)  # the other call may not have arrived yet
        assert [each for each in seen if "method" in each] == []
        assert [each for each in other.call("second__log") if "method" in each] == []
        other.call("second__stop")
        assert [each for each in waiting.result() if "method" in each] == []


@pytest.mark.parametrize("capabilities", [{}, {"sampling": {}}, {"elicitation": {"url": {}}}])
def test_a_client_is_not_asked_for_what_it_has_not_declared(proxy: ToolProxy, capabilities: dict[str, Any]) -> None:
    with Session(proxy, capabilities) as session:
        *before, last = session.call("second__ask")
        assert before == []
        assert text_of(last)["code"] == -32601


def test_a_log_comes_from_the_level_on_that_a_client_wants(proxy: ToolProxy) -> None:
    with Session(proxy, {}) as session:
        assert [each["params"]["level"] for each in session.call("second__log")[:-1]] == ["info", "error"]
        assert session.post(rpc("logging/setLevel", {"level": "error"})).json()["result"] == {}
        assert [each["params"]["level"] for each in session.call("second__log")[:-1]] == ["error"]
    request = modern_request("tools/call", {"name": "second__log", "arguments": {}}, name="second__log")
    assert "notifications/message" not in httpx.post(f"{proxy.url}/mcp", timeout=30, **request).text
    request["json"]["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = "debug"
    told = httpx.post(f"{proxy.url}/mcp", timeout=30, **request).text
    assert told.count("notifications/message") == 3


def test_updates_go_to_those_who_watch_and_to_nobody_else(proxy: ToolProxy) -> None:
    uri = "second+note://folder"
    with Session(proxy, {}) as watcher, Session(proxy, {}) as other, watcher.stream() as told, other.stream() as untold:
        for session, watched in ((watcher, uri), (other, "note://shared")):
            assert session.post(rpc("resources/subscribe", {"uri": watched})).json()["result"] == {}
        other.call("second__update", uri="note://folder/one")
        message = next(told)
        assert (message["method"], message["params"]) == ("notifications/resources/updated", {"uri": uri})
        other.call("first__update", uri="note://shared")
        assert next(untold)["params"] == {"uri": "note://shared"}
        watcher.post(rpc("resources/unsubscribe", {"uri": uri}))


def test_a_modern_client_watches_resources_by_its_listen_stream(proxy: ToolProxy) -> None:
    wanted = {"notifications": {"resourceSubscriptions": ["note://shared", "other://x"], "resourcesListChanged": True}}
    request = modern_request("subscriptions/listen", wanted)
    with httpx.stream("POST", f"{proxy.url}/mcp", timeout=30, **request) as answer:
        events = events_of(answer)
        honoured = next(events)["params"]["notifications"]
        assert honoured == {"resourcesListChanged": True, "resourceSubscriptions": ["note://shared"]}
        proxy.run("first__update", {"uri": "note://shared"})
        assert next(events)["params"]["uri"] == "note://shared"


def test_subscriptions_have_an_end(proxy: ToolProxy) -> None:
    with Session(proxy, {}) as session:
        answers = [session.post(rpc("resources/subscribe", {"uri": f"note://folder/{n}"})).json() for n in range(101)]
        assert all("result" in each for each in answers[:100])
        assert "at most 100" in answers[100]["error"]["message"]


def test_a_flood_of_questions_and_messages_stays_in_its_call(proxy: ToolProxy) -> None:
    with Session(proxy, {"sampling": {}}) as session:
        seen = session.call("second__flood")
        assert text_of(seen[-1]) == "done"
        assert len([each for each in seen if each.get("method") == "notifications/message"]) <= 1000
        assert len([each for each in seen if each.get("method") == "sampling/createMessage"]) <= 100
        assert len(session.call("second__log")) == 3


def test_a_call_is_cancelled_in_its_own_session_alone(proxy: ToolProxy) -> None:
    with Session(proxy, {}) as one, Session(proxy, {}) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.post, rpc("tools/call", {"name": "second__wait", "arguments": {}}))
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
        assert other.post(cancelled).status_code == 202
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        assert one.post(cancelled).status_code == 202
        assert waiting.result(20).status_code == 202
        other.call("second__stop")


def test_a_session_ends_and_an_unknown_one_is_served_without(proxy: ToolProxy) -> None:
    with Session(proxy, {}) as session:
        with httpx.Client(timeout=30) as client:
            assert client.delete(session.url, headers=session.headers).status_code == 204
        assert session.post(rpc("tools/list")).status_code == 404
        with httpx.Client(timeout=30) as client:
            assert client.get(session.url, headers=session.headers).status_code == 404
        session.headers["Mcp-Session-Id"] = "of-an-earlier-proxy"
        assert "result" in session.post(rpc("tools/list")).json()
        assert "error" in session.post(rpc("resources/subscribe", {"uri": "note://shared"})).json()


def test_rules_are_for_resources_and_prompts_too(proxy: ToolProxy) -> None:
    tools = json.loads(proxy.config_file.read_text())["tools"]
    rule = {"tools": ["second__*"], "action": "deny", "reason": "not this one"}
    proxy.reload(tools=tools, policy={"rules": [rule]})
    refused = proxy.post("resources/read", {"uri": "second+note://shared"}, name="second+note://shared").json()
    assert "not this one" in refused["error"]["message"]
    assert "result" in proxy.post("resources/read", {"uri": "note://shared"}, name="note://shared").json()
    proxy.reload(tools=tools)


def test_more_clients_than_there_may_be_sessions_are_served(proxy: ToolProxy) -> None:
    def open_one(_: int) -> int:
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
        answer = client.post(f"{proxy.url}/mcp", headers=ACCEPT, json=rpc("initialize", params))
        return answer.status_code

    with httpx.Client(timeout=30) as client:
        assert {open_one(number) for number in range(300)} == {200}
    assert threading.active_count() < 50
