"""A server that does everything wrong fails alone, with a reason: the proxy and all other tools go on."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.toolproxy import hostile_server
from contract.toolproxy.hostile_server import ANSWERS, DEFINITIONS, NAMELESS, HostileServer
from contract.toolproxy.toolproxy_harness import ToolProxy, running
from contract.toolproxy.upstream_server import UpstreamServer
from mcp_types import CallToolResult, ListToolsResult

LIVE_S = 5.0
"""Generous, for a busy machine: what it must not be is the time of the attack."""
MEMORY_KIB = 400 * 1024
LINES = ["long_line", "junk", "blank_lines", "unreadable", "text_id", "null_error", "notifications", "odd_ids"]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    script = f"{sys.executable} {hostile_server.__file__}"
    with HostileServer(*DEFINITIONS.values(), *NAMELESS) as bad, UpstreamServer() as good:
        tools = [
            {"name": "bad", "custom": {"name": "bad", "source": f"mcp+{bad.url}"}},
            {"name": "good", "custom": {"name": "good", "source": f"mcp+{good.url}"}},
            {"name": "lines", "custom": {"name": "lines", "source": "mcp+stdio:path:lines"}},
        ]
        folder = tmp_path_factory.mktemp("hostile") / "pod"
        made = ToolProxy(folder, tools=tools, limits={"timeoutSeconds": 20}).in_a_pod()
        made.add_program("lines", f"#!/bin/sh\nexec {script}\n")
        try:
            yield made.start()
        finally:
            made.close()


def alive(proxy: ToolProxy) -> None:
    began = time.monotonic()
    assert httpx.get(f"{proxy.ops_url}/livez").status_code == 200
    assert time.monotonic() - began < LIVE_S
    peak = next(line for line in Path(f"/proc/{proxy.pid}/status").read_text().splitlines() if "VmHWM" in line)
    assert int(peak.split()[1]) < MEMORY_KIB
    assert proxy.call("good__echo", {"text": "x"})["structuredContent"] == {"echo": "x"}


def listed(proxy: ToolProxy) -> set[str]:
    result = proxy.post("tools/list").json()["result"]
    return {each.name for each in ListToolsResult.model_validate(result).tools}


def report_of(proxy: ToolProxy, name: str) -> dict[str, Any]:
    found = [each for each in proxy.report()["tools"] if each["name"] == name]
    assert found, [each["name"] for each in proxy.report()["tools"]]
    tool: dict[str, Any] = found[0]
    return tool


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_that_clients_would_refuse_is_set_aside_alone(proxy: ToolProxy, name: str) -> None:
    names = listed(proxy)

    assert {"bad__fine", "bad__attack", "good__echo"} <= names
    assert f"bad__{name}" not in names
    tool = report_of(proxy, f"bad__{name}")
    assert (tool["state"], tool["required"]) == ("failed", False)
    assert tool["error"].startswith("not served: ")


@pytest.mark.parametrize("number", range(len(NAMELESS)))
def test_what_has_no_usable_name_is_reported_by_its_place(proxy: ToolProxy, number: int) -> None:
    place = 2 + len(DEFINITIONS) + number + 1

    assert "not served" in report_of(proxy, f"bad__[{place}]")["error"]


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_bad_answer_is_a_failed_call_and_nothing_else(proxy: ToolProxy, kind: str) -> None:
    answer = proxy.post(
        "tools/call",
        {"name": "bad__attack", "arguments": {"kind": kind}, "_meta": {"progressToken": 1}},
        name="bad__attack",
    )

    text = answer.text.split("data: ")[-1]
    reply = httpx.Response(200, text=text.strip()).json()
    assert "jsonrpc" in reply
    if "result" in reply:
        assert CallToolResult.model_validate(reply["result"]).content
    alive(proxy)


@pytest.mark.parametrize("kind", LINES)
def test_bad_lines_are_a_failed_call_and_nothing_else(proxy: ToolProxy, kind: str) -> None:
    proxy.wait_for_state("lines", "ready")

    began = time.monotonic()
    result = proxy.call("lines__attack", {"kind": kind})

    assert CallToolResult.model_validate(result).content
    assert time.monotonic() - began < 18
    alive(proxy)


def test_a_definition_too_many_is_the_servers_failure(tmp_path: Path) -> None:
    many = [{"name": f"t{number}", "inputSchema": {"type": "object"}} for number in range(6000)]
    with HostileServer(*many) as bad, running(tmp_path, tools=[]) as proxy:
        proxy.reload(tools=[{"name": "bad", "required": False, "custom": {"name": "bad", "source": f"mcp+{bad.url}"}}])
        assert "more than 5000 tools" in proxy.wait_for_state("bad", "failed")["error"]
        proxy.wait_for(lambda: httpx.get(f"{proxy.ops_url}/readyz").status_code == 200)
