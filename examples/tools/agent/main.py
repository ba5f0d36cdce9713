"""An archivist: writes a note into the workspace, and has a tool seal it."""

import asyncio
import os
from pathlib import Path

from mcp import Client


async def main() -> None:
    note = Path(os.environ["AGENT_WORKSPACE"]) / "note.txt"
    note.write_text("High water is at six.\n")
    async with Client(os.environ["MCP_SERVER_URL"]) as tools:
        listed = await tools.list_tools()
        print("tools:", ", ".join(tool.name for tool in listed.tools))
        sealed = await tools.call_tool("git", {"args": ["hash-object", note.name]})
        print(f"{note.name} is sealed as {sealed.content[0].text.strip()}")


if __name__ == "__main__":
    asyncio.run(main())
