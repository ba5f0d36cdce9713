"""The bodies of the REST API."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from agent_toolproxy.memory.notes import LONGEST_TTL_S, LONGEST_VALUE_CHARS


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ToolView(_Body):
    """A tool of the configuration, or one that an MCP server behind it offers."""

    name: str
    kind: Literal["command", "mcp", "builtin"]
    state: Literal["pending", "installing", "ready", "failed", "blocked"]
    required: bool
    callable: bool = Field(description="Whether it can be run; an MCP server itself cannot, its tools can.")
    server: str | None = Field(default=None, description="The tool of the configuration that it belongs to.")
    version: str = ""
    source: str = ""
    description: str = ""
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    error: str = ""


class ToolList(_Body):
    """All tools, by name."""

    tools: list[ToolView]


class RunRequest(_Body):
    """A call."""

    arguments: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: float | None = Field(
        default=None, gt=0, le=3600, allow_inf_nan=False, description="Shorter than the configured limit; never longer."
    )


class RunResult(_Body):
    """What a tool did, as MCP's tools/call says it."""

    model_config = ConfigDict(extra="allow")

    content: list[dict[str, Any]]
    structured_content: Any = None
    is_error: bool = Field(default=False, description="The tool was run and failed.")


class MemoryValue(_Body):
    """What to remember."""

    value: str = Field(max_length=LONGEST_VALUE_CHARS)
    ttl_seconds: int | None = Field(default=None, ge=1, le=LONGEST_TTL_S)


class MemoryItem(_Body):
    """What is remembered."""

    key: str
    value: str
    ttl_seconds: int | None = None


class MemoryKeys(_Body):
    """Keys, sorted."""

    keys: list[str]


class ErrorDetail(_Body):
    """`code` is for programs, `message` for people."""

    code: str
    message: str


class ErrorBody(_Body):
    """Every answer that is not 2xx."""

    error: ErrorDetail
