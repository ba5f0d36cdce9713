"""What toolproxy says at GET /report on its ops port; the operator shows it as `toolStatus`."""

from typing import Final, Literal

from pydantic import Field

from agent_api.memoryreport import MemoryReport
from agent_api.model import Report
from agent_api.toolslock import ToolsLock

_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
ToolState = Literal["pending", "installing", "ready", "failed", "blocked"]


class ToolReport(Report):
    """One tool."""

    name: str
    required: bool
    state: ToolState
    kind: Literal["command", "mcp", "builtin"] = "command"
    version: str = ""
    source: str = Field(default="", description="Where it was found: installed, path, catalogue, custom; and which.")
    digest: str = Field(default="", description="sha256 of what was installed.")
    definition_hash: str = ""
    error: str = ""
    progress: str = Field(default="", description="What is being done about a tool that is not ready.")
    since: str = Field(default="", description="Last change of the state: RFC 3339, UTC.")
    last_error: str = Field(default="", description="Cause of the last failure, also after it is over.")
    not_served: str = Field(
        default="", description="Tools of a server that are not served, such as those of a name that is taken."
    )
    diff: str = Field(default="", description="What changed in a blocked tool's definition, cut to 2,000 characters.")


class Isolation(Report):
    """What the node's kernel gives to keep tools apart."""

    landlock: int = Field(default=0, description="The version of Landlock's ABI; 0 is none.")
    files: bool = Field(default=False, description="Tools do not see credentials and each other's files and memory.")
    signals: bool = Field(default=False, description="Tools cannot end each other, nor the proxy.")
    system_calls: bool = Field(default=False, description="Tools cannot change each other's limits and priorities.")


class ApprovalRequest(Report):
    """A call that waits for a person."""

    id: str = Field(pattern="^[0-9a-f]{16}$")
    tool: str = Field(max_length=128)
    hash: str = Field(pattern="^[0-9a-f]{64}$", description="Of the very call: tool and arguments.")
    arguments: str = Field(default="", max_length=4000, description="JSON, redacted; cut with ... where it is long.")
    reason: str = Field(default="", max_length=500)
    asked_at: str = Field(pattern=_TIME)
    expires_at: str = Field(pattern=_TIME)


class ToolsReport(Report):
    """The whole proxy."""

    schema_version: Literal[1] = 1
    agent: str
    ready: bool = Field(description="True when every required tool is ready.")
    config_hash: str = Field(
        default="",
        description="sha256 of the tools.json in use, as model without defaults, `decisions` and `lock`; empty before "
        "there is one.",
    )
    config_error: str = ""
    tools: tuple[ToolReport, ...] = ()
    walls: str = Field(default="", description="What this node's kernel gives to keep tools apart.")
    isolation: Isolation | None = None
    memory: MemoryReport | None = None
    lock: ToolsLock = Field(default=ToolsLock(), description="What this proxy has seen and accepted.")
    approvals: tuple[ApprovalRequest, ...] = Field(
        default=(), max_length=20, description="Calls that wait for a person."
    )
