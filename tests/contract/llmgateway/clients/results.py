"""What a run of the whole matrix has found, kept beside it: docs/reference/clients.md is made of that file.

A run with AGENTBERTH_WHOLE=1 writes the rows that it has tried, with its date and the versions that the locks pin.
"""

import fcntl
import json
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from contract.llmgateway.clients import matrix
from contract.llmgateway.clients.environments import HERE, NODE

FILE: Final = HERE / "results.json"
WORKS: Final = "works"
LONGEST_ERROR: Final = 300
Cell = tuple[str, str, str]
"""Client, type of provider, feature."""
_PACKAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "openai_chat.py": ("openai",),
    "openai_responses.py": ("openai",),
    "anthropic_messages.py": ("anthropic",),
    "openai_agents.py": ("openai-agents",),
    "google_adk.py": ("google-adk", "litellm"),
    "langchain_models.py chat": ("langchain", "langchain-openai"),
    "langchain_models.py responses": ("langchain", "langchain-openai"),
    "langchain_models.py anthropic": ("langchain", "langchain-anthropic"),
    "pydantic_ai_agent.py": ("pydantic-ai-slim",),
    "instructor_client.py": ("instructor",),
    "openai_node.mjs": ("openai",),
    "anthropic_node.mjs": ("@anthropic-ai/sdk",),
    "vercel_ai.mjs responses": ("ai", "@ai-sdk/openai"),
    "vercel_ai.mjs chat": ("ai", "@ai-sdk/openai"),
    "vercel_ai.mjs compatible": ("ai", "@ai-sdk/openai-compatible"),
    "vercel_ai.mjs anthropic": ("ai", "@ai-sdk/anthropic"),
    "commands.py claude": ("@anthropic-ai/claude-code",),
    "commands.py codex": ("@openai/codex",),
}
"""By driver, or by driver and variant."""


def versions_of(client: matrix.Client) -> dict[str, str]:
    """The versions that the locks pin of what a row is about."""
    names = _PACKAGES.get(f"{client.driver} {client.variant}") or _PACKAGES[client.driver]
    if client.environment == NODE or client.is_command:
        packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
        return {name: packages[f"node_modules/{name}"]["version"] for name in names}
    return {name: _locked(client.environment, name) for name in names}


def _locked(group: str, name: str) -> str:
    """The lock says which version a group has where there is more than one."""
    packages = tomllib.loads((HERE / "uv.lock").read_text())["package"]
    own = next(each for each in packages if each["name"] == "gateway-clients")
    chosen = next(each for each in own["dev-dependencies"][group] if each["name"] == name)
    found = {each["version"] for each in packages if each["name"] == name}
    return str(chosen.get("version") or found.pop())


def load() -> dict[str, Any]:
    """The file; a new one is empty."""
    found: dict[str, Any] = json.loads(FILE.read_text() or "{}") if FILE.exists() else {}
    return found


def merge(outcomes: Mapping[Cell, str]) -> None:
    """Write what a run has found over what former ones have, in the order of the matrix. Runs may end side by side."""
    with FILE.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _write(outcomes)


def _write(outcomes: Mapping[Cell, str]) -> None:
    before = {row["name"]: row for row in load().get("clients", [])}
    rows = []
    for client in matrix.CLIENTS:
        row = before.get(client.name, {"name": client.name})
        mine = {cell: outcome for cell, outcome in outcomes.items() if cell[0] == client.name}
        if mine:
            row = {**row, "date": datetime.now(UTC).date().isoformat(), "versions": versions_of(client)}
            row["cells"] = {
                target: {
                    feature: mine.get((client.name, target, feature), row.get("cells", {}).get(target, {}).get(feature))
                    for feature in matrix.FEATURES
                    if feature not in client.limits
                }
                for target in matrix.TARGETS
            }
        if "cells" in row:
            rows.append(row)
    document = {"providers": matrix.TARGETS, "features": matrix.FEATURES, "clients": rows}
    FILE.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
