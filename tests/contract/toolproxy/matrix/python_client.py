"""One client of MCP, unmodified, in an environment of its own: `python python_client.py CLIENT URL CALLS`.

CALLS is JSON: for each server the name of a tool, and arguments. Prints what each call gave, as JSON.
"""

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

Call = Callable[[str, dict[str, Any]], Awaitable[Any]]
Connected = tuple[list[str], Call]
load: Callable[[str], Any] = importlib.import_module
"""No two clients share an environment, so nothing of them can be imported above."""


@asynccontextmanager
async def mcp_2(url: str, mode: str) -> AsyncIterator[Connected]:
    async with load("mcp.client").Client(url, mode=mode) as client:

        async def call(name: str, arguments: dict[str, Any]) -> Any:
            return (await client.call_tool(name, arguments)).content

        yield [tool.name for tool in (await client.list_tools()).tools], call


@asynccontextmanager
async def mcp_1(url: str) -> AsyncIterator[Connected]:
    connect = load("mcp.client.streamable_http").streamablehttp_client
    async with connect(url) as (read, write, _), load("mcp").ClientSession(read, write) as session:
        await session.initialize()

        async def call(name: str, arguments: dict[str, Any]) -> Any:
            return (await session.call_tool(name, arguments)).content

        yield [tool.name for tool in (await session.list_tools()).tools], call


@asynccontextmanager
async def fastmcp(url: str) -> AsyncIterator[Connected]:
    async with load("fastmcp").Client(url) as client:

        async def call(name: str, arguments: dict[str, Any]) -> Any:
            return (await client.call_tool(name, arguments)).content

        yield [tool.name for tool in await client.list_tools()], call


@asynccontextmanager
async def langchain(url: str) -> AsyncIterator[Connected]:
    connection = {"url": url, "transport": "streamable_http"}
    client = load("langchain_mcp_adapters.client").MultiServerMCPClient({"proxy": connection})
    tools = {tool.name: tool for tool in await client.get_tools()}

    async def call(name: str, arguments: dict[str, Any]) -> Any:
        return await tools[name].ainvoke(arguments)

    yield list(tools), call


@asynccontextmanager
async def openai_agents(url: str) -> AsyncIterator[Connected]:
    made = load("agents.mcp").MCPServerStreamableHttp
    async with made(params={"url": url}, client_session_timeout_seconds=60) as server:

        async def call(name: str, arguments: dict[str, Any]) -> Any:
            return (await server.call_tool(name, arguments)).content

        yield [tool.name for tool in await server.list_tools()], call


@asynccontextmanager
async def pydantic_ai(url: str) -> AsyncIterator[Connected]:
    async with load("pydantic_ai.mcp").MCPToolset(url) as tools:

        async def call(name: str, arguments: dict[str, Any]) -> Any:
            return await tools.direct_call_tool(name, arguments)

        yield [tool.name for tool in await tools.list_tools()], call


CLIENTS: dict[str, Callable[[str], AbstractAsyncContextManager[Connected]]] = {
    "mcp-2": lambda url: mcp_2(url, "auto"),
    "mcp-2-legacy": lambda url: mcp_2(url, "legacy"),
    "mcp-1": mcp_1,
    "fastmcp": fastmcp,
    "langchain": langchain,
    "openai-agents": openai_agents,
    "pydantic-ai": pydantic_ai,
}


async def main(client: str, url: str, calls: dict[str, Any]) -> None:
    """Prints what was found."""
    found = {}
    async with CLIENTS[client](url) as (names, call):
        for server, (name, arguments) in calls.items():
            try:
                said = str(await call(name, arguments)) if name in names else f"error: {name} is not listed"
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
                said = f"error: {type(error).__name__}: {error}"
            found[server] = said[:2000]
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
