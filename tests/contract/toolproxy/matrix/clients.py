"""The clients of the matrix: unmodified releases, each as a process in an environment of its own.

Packages for node are kept in ~/.cache/agentberth/mcp-matrix, or below AGENTBERTH_CACHE.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
TREE_UV: Final = HERE.parents[3] / ".tools" / "bin" / "uv"
NODE_PACKAGE: Final = "node@24.21.0"
_LONGEST_S: Final = 300
Calls = Mapping[str, tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Client:
    """A row. `packages` are requirements of its environment; the first one is the client itself."""

    title: str
    driver: str
    packages: tuple[str, ...]
    is_node: bool = False

    def ask(self, url: str, calls: Calls) -> dict[str, str]:
        """What each call gave, by server: a text, or `error: ...`. Raises RuntimeError when the client ends badly."""
        command, folder = _node(self) if self.is_node else _python(self)
        return run(command, folder, self.driver, url, calls)

    @property
    def release(self) -> str:
        """What was tried, as `name version`."""
        name, _, version = self.packages[0].replace("==", "@").rpartition("@")
        return f"{name.partition('[')[0]} {version}"


CLIENTS: Final[Mapping[str, Client]] = {
    "mcp 2": Client("Python SDK 2, revision 2026-07-28", "mcp-2", ("mcp==2.3.0",)),
    "mcp 2, sessions": Client("Python SDK 2, revision 2025-11-25", "mcp-2-legacy", ("mcp==2.3.0",)),
    "mcp 1": Client("Python SDK 1", "mcp-1", ("mcp==1.30.0",)),
    "fastmcp": Client("FastMCP", "fastmcp", ("fastmcp==4.2.3",)),
    "langchain": Client("LangChain MCP adapters", "langchain", ("langchain-mcp-adapters==0.3.2",)),
    "openai-agents": Client("OpenAI Agents SDK", "openai-agents", ("openai-agents==0.24.0",)),
    "pydantic-ai": Client("Pydantic AI", "pydantic-ai", ("pydantic-ai-slim[mcp]==2.68.0",)),
    "typescript-sdk": Client("TypeScript SDK", "typescript-sdk", ("@modelcontextprotocol/sdk@1.32.2",), is_node=True),
    "ai-sdk": Client("AI SDK", "ai-sdk", ("@ai-sdk/mcp@2.0.99", "ai"), is_node=True),
    "inspector": Client("Inspector", "inspector", ("@modelcontextprotocol/inspector@2.12.0",), is_node=True),
}


def run(command: list[str], folder: Path, driver: str, url: str, calls: Calls) -> dict[str, str]:
    """What a driver says. Raises RuntimeError."""
    done = subprocess.run(
        [*command, driver, url, json.dumps(calls)],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)} if driver == "inspector" else None,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{driver} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _python(client: Client) -> tuple[list[str], Path]:
    uv = str(TREE_UV if TREE_UV.exists() else "uv")
    wanted = [each for package in client.packages for each in ("--with", package)]
    options = ["--no-project", "--quiet", "--isolated", "--python", sys.executable]
    return [uv, "run", *options, *wanted, "python", str(HERE / "python_client.py")], HERE


def _node(client: Client) -> tuple[list[str], Path]:
    base = os.environ.get("AGENTBERTH_CACHE") or str(Path.home() / ".cache" / "agentberth")
    folder = Path(base) / "mcp-matrix" / client.packages[0].replace("/", "-").removeprefix("@")
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}")
        install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", NODE_PACKAGE, *client.packages]
        subprocess.run(install, cwd=folder, check=True, capture_output=True, timeout=_LONGEST_S)
        (folder / ".complete").touch()
    shutil.copy(HERE / "node_client.mjs", folder)
    return [str(folder / "node_modules/.bin/node"), "node_client.mjs"], folder
