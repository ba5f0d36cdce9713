"""What was seen of an agent's tools first, and is held to from then on.

The operator keeps it in ConfigMap NAME-tools-lock and writes it into tools.json, so all replicas, all later Pods and
all restarts are held to the same; `agentberth run` keeps it in `agentberth.lock` beside the manifest; the proxy keeps
its own copy for restarts of its container.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from agent_api.model import Report

LOCK_KEY = "tools.lock.json"
LARGEST_BYTES = 160 << 10
"""Of the lock as JSON, while it has texts: a report of 512 KiB has room for it, and a ConfigMap of 1 MiB too."""


class LockedTool(Report):
    """One install. `sha256` is of the file, or of the list of resolved packages."""

    version: str = Field(default="", max_length=256)
    source: str = Field(default="", max_length=4096)
    platform: str = Field(default="", max_length=64)
    sha256: str = Field(max_length=64)
    constraints: tuple[Annotated[str, Field(max_length=256)], ...] = Field(default=(), max_length=64)


class PinnedDefinition(Report):
    """The definition of one tool of an MCP server."""

    hash: str = Field(max_length=64, description="sha256 of everything that a model is shown.")
    call_hash: str = Field(default="", max_length=64, description="sha256 without the texts: what may be passed.")
    text: str = Field(default="", max_length=8192, description="The definition, for a diff; empty when it is too long.")

    @model_validator(mode="before")
    @classmethod
    def _of_hash(cls, value: Any) -> Any:  # noqa: ANN401 - any JSON
        return {"hash": value} if isinstance(value, str) else value  # as the first form of the file had it


class ToolsLock(Report):
    """Installs by tool, definitions by exported name (`server__tool`)."""

    schema_version: Literal[1] = 1
    tools: dict[str, LockedTool] = Field(default_factory=dict, max_length=1000)
    definitions: dict[str, PinnedDefinition] = Field(default_factory=dict, max_length=5000)

    def serialise(self) -> str:
        """The file: for people and version control; texts are left out where they would not fit."""
        return _file(self.bounded()) + "\n"

    def bounded(self) -> "ToolsLock":
        """Without texts, where all of them would be too large for a ConfigMap or a report."""
        if len(_file(self).encode()) <= LARGEST_BYTES:
            return self
        bare = {name: each.model_copy(update={"text": ""}) for name, each in self.definitions.items()}
        return self.model_copy(update={"definitions": bare})

    def owners(self) -> frozenset[str]:
        """The servers that have a pinned definition."""
        return frozenset(name.partition("__")[0] for name in self.definitions)


def _file(lock: ToolsLock) -> str:
    return lock.model_dump_json(by_alias=True, indent=2, exclude_defaults=True)
