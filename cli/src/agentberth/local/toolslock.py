"""`agentberth.lock`: what tools a run has seen, beside the manifest, to be committed with it.

Later runs, on this machine or another, are held to it as an agent in a cluster is to its ConfigMap.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from agent_api import layout
from agent_api.toolslock import LOCK_KEY, ToolsLock
from agent_base.atomicfile import write_atomically
from agentberth.errors import ManifestError

LOCK_FILE: Final = "agentberth.lock"


def with_lock(config: Mapping[str, str], folder: Path, agent: str) -> Mapping[str, str]:
    """The agent's configuration, held to the lock in `folder`. Raises ManifestError for a file that is damaged."""
    lock = read_lock(folder / LOCK_FILE, agent)
    if layout.TOOLS_KEY not in config or lock is None:
        return config
    tools = json.loads(config[layout.TOOLS_KEY]) | {"lock": json.loads(lock.serialise())}
    return {**config, layout.TOOLS_KEY: json.dumps(tools, indent=2)}


def read_lock(path: Path, agent: str) -> ToolsLock | None:
    """What runs of `agent` have seen; None when the file knows no such agent. Raises ManifestError."""
    entry = _read(path).get(agent)
    if entry is None:
        return None
    try:
        return ToolsLock.model_validate(entry)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        raise ManifestError(f"{path}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error


def keep_lock(root: Path, folder: Path, agent: str) -> None:
    """Write what the run below `root` has seen into the lock in `folder`; nothing, where nothing is pinned."""
    try:
        seen = ToolsLock.model_validate_json(Path(layout.relocate(layout.TOOLS, str(root)), LOCK_KEY).read_bytes())
    except (OSError, ValidationError):
        return
    path = folder / LOCK_FILE
    agents = _read(path)
    entry = json.loads(seen.serialise())
    if agents.get(agent) != entry and (seen.tools or seen.definitions):
        document = {"schemaVersion": 1, "agents": dict(sorted({**agents, agent: entry}.items()))}
        write_atomically(path, json.dumps(document, indent=2).encode() + b"\n")


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: it is not readable JSON: {error}; restore it, or delete it") from error
    agents = document.get("agents") if isinstance(document, dict) else None
    if not isinstance(agents, dict):
        raise ManifestError(f"{path}: it has no agents; restore it, or delete it to start again")
    return agents
