"""A rotated Secret reaches a running server: by its file, or by a restart between two calls."""

import hashlib
import json
import threading
from typing import Any

import pytest
from contract.toolproxy.toolproxy_harness import ToolProxy

SERVER = """#!/usr/bin/env python3
import hashlib, json, os, pathlib, sys, time

def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()

def call(name):
    if name == "slow":
        pathlib.Path("begun").touch()
        while not pathlib.Path("go-on").exists():
            time.sleep(0.01)
    file = os.environ.get("KEY_FILE")
    value = pathlib.Path(file).read_text() if file else os.environ["KEY"]
    return json.dumps({"pid": os.getpid(), "value": digest(value)})

def answer(method, params):
    if method == "initialize":
        info = {"name": "s", "version": "1"}
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        return {"tools": [{"name": each, "inputSchema": {"type": "object"}} for each in ("show", "slow")]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": call(params["name"])}]}

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = answer(message["method"], message.get("params", {}))
        body = {"result": result} if result else {"error": {"code": -32601, "message": "no"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
"""
OLD, NEW = "canary-of-yesterday", "canary-of-today"


def start(proxy: ToolProxy, **options: dict[str, str]) -> None:
    proxy.add_program("keeper", SERVER)
    proxy.write_credential("keeper", "key", OLD)
    custom = {"name": "keeper", "source": "mcp+stdio:path:keeper", **options}
    proxy.write_config(tools=[{"name": "keeper", "custom": custom, "credentials": "keeper"}])
    proxy.start()


def show(proxy: ToolProxy, tool: str = "show") -> dict[str, Any]:
    result = proxy.call(f"keeper__{tool}")
    assert not result.get("isError"), result
    shown: dict[str, Any] = json.loads(result["content"][0]["text"])
    return shown


def digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def failures(proxy: ToolProxy) -> list[dict[str, Any]]:
    return [line for line in proxy.log_lines() if line.get("message") == "tool failed"]


def test_a_server_is_started_again_between_calls_when_a_variable_changes(proxy: ToolProxy) -> None:
    start(proxy, credentialEnvironment={"KEY": "key"})
    before = show(proxy)
    assert before["value"] == digest(OLD)
    during: list[dict[str, Any]] = []
    slow = threading.Thread(target=lambda: during.append(show(proxy, "slow")))
    slow.start()
    proxy.wait_for((proxy.workspace / "begun").exists)
    proxy.write_credential("keeper", "key", NEW)
    assert proxy.report()["ready"]
    (proxy.workspace / "go-on").touch()
    slow.join()

    proxy.wait_for(lambda: show(proxy)["value"] == digest(NEW))

    assert during == [before]
    assert show(proxy)["pid"] != before["pid"]
    assert failures(proxy) == []
    assert "canary" not in proxy.log.read_text() + json.dumps(proxy.report())


def test_a_server_that_reads_a_file_goes_on_when_it_changes(proxy: ToolProxy) -> None:
    start(proxy, credentialFiles={"KEY_FILE": "key"})
    before = show(proxy)
    assert before["value"] == digest(OLD)

    proxy.write_credential("keeper", "key", NEW)
    proxy.wait_for(lambda: show(proxy)["value"] == digest(NEW))

    assert show(proxy)["pid"] == before["pid"]


def test_a_secret_that_goes_away_takes_nothing_from_a_running_server(proxy: ToolProxy) -> None:
    start(proxy, credentialEnvironment={"KEY": "key"})
    before = show(proxy)

    (proxy.root / "etc/agentberth/credentials/keeper/key").unlink()
    proxy.wait_for(lambda: "a Secret cannot be read again" in proxy.log.read_text())

    assert show(proxy) == before


@pytest.mark.parametrize("option", ["credentialEnvironment", "credentialFiles"])
def test_a_program_is_given_the_present_value_at_each_call(proxy: ToolProxy, option: str) -> None:
    proxy.add_program("shower", '#!/bin/sh\n[ -f "$KEY" ] && KEY=$(cat "$KEY")\nprintf %s "$KEY" | sha256sum\n')
    proxy.write_credential("shower", "key", OLD)
    custom = {"name": "shower", "source": "path:shower", option: {"KEY": "key"}}
    proxy.write_config(tools=[{"name": "shower", "custom": custom, "credentials": "shower"}])
    proxy.start()

    for value in (OLD, NEW):
        proxy.write_credential("shower", "key", value)
        assert digest(value) in proxy.run("shower", {"args": []}).json()["structuredContent"]["stdout"]
