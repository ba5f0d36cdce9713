"""Official clients and an official server, from the real indexes: they are the subject.

The server is `@modelcontextprotocol/server-everything`, installed by the proxy and run behind it by stdio and by HTTP.
The clients are the Python SDK, newest and 1.x, and the Inspector's CLI.
"""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract.toolproxy.matrix import clients
from contract.toolproxy.matrix.clients import run
from contract.toolproxy.matrix.record import WORKS, judge
from contract.toolproxy.matrix.servers import WORD
from contract.toolproxy.toolproxy_harness import ToolProxy
from mcp.client import Client

EVERYTHING = "npm:@modelcontextprotocol/server-everything@2026.8.31"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
NODE = "22.23.3"  # the Inspector wants a newer one than Debian has
CA_FILES = ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def everything(name: str, source: str, *arguments: str) -> dict[str, Any]:
    custom = {"name": name, "source": source, "arguments": list(arguments), "exclude": ["toggle-*", "gzip-*"]}
    return {"name": name, "custom": custom}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToolProxy]:
    """The server by stdio as `one`; as `two` by HTTP, run from where the proxy has installed it."""
    made = ToolProxy(tmp_path_factory.mktemp("sdk"))
    index = made.root / "etc/agentberth/index"
    index.mkdir()
    if authority := next((os.environ[name] for name in CA_FILES if name in os.environ), None):
        shutil.copy(authority, index / "ca.crt")
    tools = [{"name": "git"}, everything("one", f"mcp+stdio:{EVERYTHING}", "stdio")]
    shared = {"indexFolder": "/etc/agentberth/index"}
    made.write_config(tools=tools, **shared)
    made.launch()
    made.wait_for_state("one", "ready", timeout_s=100)
    script = next(made.tools.glob("store/*/node_modules/.bin/mcp-server-everything"))
    port = _free_port()
    server = subprocess.Popen(
        [script, "streamableHttp"],
        env={"PATH": os.environ["PATH"], "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        tools.append(everything("two", f"mcp+http://127.0.0.1:{port}/mcp"))
        made.write_config(tools=tools, **shared)
        made.wait_for_state("two", "ready")
        yield made
    finally:
        made.close()
        server.terminate()
        server.wait(10)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("server", ["one", "two"])
async def test_the_newest_sdk_lists_and_calls(proxy: ToolProxy, mode: Any, server: str) -> None:
    async with Client(f"{proxy.url}/mcp", mode=mode) as client:
        assert client.protocol_version == ("2026-07-28" if mode == "auto" else "2025-11-25")
        listed = [tool.name for tool in (await client.list_tools()).tools]
        assert listed == proxy.tool_names()
        assert {f"{server}__echo", f"{server}__get-sum", "git"} <= set(listed)

        text = await client.call_tool(f"{server}__echo", {"message": "hello"})
        assert text.content[0].text == "Echo: hello"  # type: ignore[union-attr]
        image = await client.call_tool(f"{server}__get-tiny-image", {})
        assert [block.type for block in image.content] == ["text", "image", "text"]
        links = await client.call_tool(f"{server}__get-resource-links", {"count": 2})
        assert [block.type for block in links.content] == ["text", "resource_link", "resource_link"]
        embedded = await client.call_tool(
            f"{server}__get-resource-reference", {"resourceType": "Text", "resourceId": 1}
        )
        assert "resource" in [block.type for block in embedded.content]
        structured = await client.call_tool(f"{server}__get-structured-content", {"location": "Chicago"})
        assert set(structured.structured_content or {}) == {"temperature", "conditions", "humidity"}
        wrong = await client.call_tool(f"{server}__get-sum", {"a": "x"})
        assert wrong.is_error

        seen: list[float] = []

        async def listen(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        long = {"duration": 0.6, "steps": 3}
        await client.call_tool(f"{server}__trigger-long-running-operation", long, progress_callback=listen)
        assert seen == [1, 2, 3]


def test_a_cell_of_the_matrix(proxy: ToolProxy) -> None:
    """The others are in test_mcp_matrix.py."""
    driver = [sys.executable, str(clients.HERE / "python_client.py")]
    called = run(driver, clients.HERE, "mcp-2", f"{proxy.url}/mcp", {"everything": ("one__echo", {"message": WORD})})
    assert judge("everything", called["everything"]) == WORKS


async def test_the_newest_sdk_calls_a_program(proxy: ToolProxy) -> None:
    async with Client(f"{proxy.url}/mcp") as client:
        result = await client.call_tool("git", {"args": ["--version"]})
        assert result.structured_content is not None
        assert result.structured_content["exitCode"] == 0


SDK_1 = """
    import asyncio, json, sys
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def main(url):
        async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as session:
            found = {"version": (await session.initialize()).protocolVersion}
            found["tools"] = [tool.name for tool in (await session.list_tools()).tools]
            seen = []
            async def listen(progress, total, message): seen.append(progress)
            for server in ("one", "two"):
                call = lambda name, arguments, **more: session.call_tool(f"{server}__{name}", arguments, **more)
                image = await call("get-tiny-image", {})
                links = await call("get-resource-links", {"count": 2})
                structured = await call("get-structured-content", {"location": "Chicago"})
                await call("trigger-long-running-operation", {"duration": 0.6, "steps": 3}, progress_callback=listen)
                found[server] = {
                    "echo": (await call("echo", {"message": "hello"})).content[0].text,
                    "image": [block.type for block in image.content],
                    "links": [block.type for block in links.content],
                    "structured": sorted(structured.structuredContent),
                    "error": (await call("get-sum", {"a": "x"})).isError,
                    "progress": list(seen),
                }
                seen.clear()
            git = await session.call_tool("git", {"args": ["--version"]})
            found["git"] = git.structuredContent["exitCode"]
            print(json.dumps(found))

    asyncio.run(main(sys.argv[1]))
"""


def test_an_sdk_of_1_x_lists_and_calls(proxy: ToolProxy) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "run", "--no-project", "--quiet", "--python", sys.executable, "--with", "mcp<2", "python", "-c"]
    done = subprocess.run(
        [*command, textwrap.dedent(SDK_1), f"{proxy.url}/mcp"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["version"] == "2025-11-25"
    assert found["tools"] == proxy.tool_names()
    assert found["git"] == 0
    for server in ("one", "two"):
        assert found[server] == {
            "echo": "Echo: hello",
            "image": ["text", "image", "text"],
            "links": ["text", "resource_link", "resource_link"],
            "structured": ["conditions", "humidity", "temperature"],
            "error": True,
            "progress": [1, 2, 3],
        }


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of the Inspector's CLI."""
    folder = tmp_path_factory.mktemp("inspector")
    machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "x64"
    node = f"node-linux-{machine}"
    (folder / "package.json").write_text("{}")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([*install, f"{node}@{NODE}", INSPECTOR], cwd=folder, check=True, timeout=110, capture_output=True)
    launcher = folder / "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
    return [str(folder / f"node_modules/{node}/bin/node"), str(launcher), "--cli"]


def test_the_inspector_lists_and_calls(proxy: ToolProxy, inspector: list[str], tmp_path: Path) -> None:
    def ask(*arguments: str) -> Any:
        command = [*inspector, f"{proxy.url}/mcp", "--transport", "http", "--method", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "HOME": str(tmp_path)}
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    assert [tool["name"] for tool in ask("tools/list")["tools"]] == proxy.tool_names()
    for server in ("one", "two"):
        echo = ask("tools/call", "--tool-name", f"{server}__echo", "--tool-arg", "message=hello")
        assert echo["content"][0]["text"] == "Echo: hello"
    git = ask("tools/call", "--tool-name", "git", "--tool-arg", 'args=["--version"]')
    assert git["structuredContent"]["exitCode"] == 0


def test_all_of_it_left_nothing_running_but_the_children(proxy: ToolProxy) -> None:
    report = httpx.get(f"{proxy.ops_url}/report").json()
    states = {each["name"]: each["state"] for each in report["tools"]}
    assert {name: states.pop(name) for name in ("git", "one", "two")} == dict.fromkeys(("git", "one", "two"), "ready")
    set_aside = [each["error"] for each in report["tools"] if each["name"] in states]
    assert all("can only be run as a task" in error for error in set_aside), set_aside
