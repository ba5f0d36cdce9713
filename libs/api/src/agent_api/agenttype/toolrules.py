"""What an agent may do with the tools that it has: `spec.tools.policy.rules`, `rates`, `approvals`; and ToolApproval.

A ToolApproval is one call that waits for a person. The operator makes it, and whoever RBAC lets decides. What is asked
cannot be changed, and a decision cannot be taken back: rules in the definition hold both.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel

ToolPattern = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class ToolCallArgument(ApiModel):
    """What an argument of a call must look like for a rule to apply."""

    argument: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        description="Its name; a.b is b in the object a; of a list, every element."
    )
    matches: Annotated[tuple[ToolPattern, ...], Field(min_length=1, max_length=16)] = Field(
        description="Glob patterns of the value. Absent is the empty text; of another type, its JSON."
    )


class ToolRule(ApiModel):
    """What happens to the calls that fall under it."""

    tools: Annotated[tuple[ToolPattern, ...], Field(min_length=1, max_length=32)] = Field(
        description="Glob patterns of served names: a program's own, server__tool for a tool of an MCP server."
    )
    where: Annotated[tuple[ToolCallArgument, ...], Field(max_length=8)] = Field(
        default=(), description="All of them must hold; none is every call."
    )
    action: Literal["allow", "deny", "ask"] = Field(
        description="ask: each call waits for a ToolApproval that a person approves."
    )
    reason: Annotated[str, StringConstraints(max_length=256)] = Field(
        default="", description="Told to the agent, and to the person who is asked."
    )


class ToolRate(ApiModel):
    """How often each tool may be called, in each Pod."""

    tools: Annotated[tuple[ToolPattern, ...], Field(min_length=1, max_length=32)] = Field(
        description="Glob patterns of served names. The first rate that names a tool is the tool's."
    )
    per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = Field(default=None, description="Calls in a minute.")
    per_day: Annotated[int, Field(ge=1, le=10_000_000)] | None = Field(
        default=None, description="Since midnight UTC; a new Pod begins anew."
    )


class ToolApprovals(ApiModel):
    """How long calls wait for a person."""

    wait_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        default=45, description="How long a call waits for a decision until the agent is asked to call again later."
    )
    expire_seconds: Annotated[int, Field(ge=10, le=604_800)] = Field(
        default=3600, description="After which a call that nobody approved is denied."
    )


APPROVAL: Final = "ToolApproval"
APPROVALS: Final = "toolapprovals"
ApprovalState = Literal["Granted", "Denied", "Expired"]


class ToolApprovalSpec(ApiModel):
    """The call, and what a person decided."""

    agent: Annotated[str, StringConstraints(max_length=253)] = Field(description="The AgentType.")
    tool: Annotated[str, StringConstraints(max_length=128)]
    arguments: Annotated[str, StringConstraints(max_length=4000)] = Field(
        description="JSON of the call's arguments, with secrets masked; long ones end with '...'."
    )
    reason: Annotated[str, StringConstraints(max_length=500)] = Field(description="Of the rule that asks.")
    request: Annotated[str, StringConstraints(max_length=64)] = Field(description="Id of the call that waits.")
    hash: Annotated[str, StringConstraints(max_length=64)] = Field(description="sha256 of the tool and all arguments.")
    asked_at: Annotated[str, StringConstraints(max_length=32)] = Field(description="RFC 3339.")
    expires_at: Annotated[str, StringConstraints(max_length=32)] = Field(
        description="RFC 3339; then the call is denied."
    )
    decision: Literal["Approve", "Deny"] | None = Field(
        default=None, description="Approve: this very call may be carried out, once."
    )
    note: Annotated[str, StringConstraints(max_length=500)] | None = Field(
        default=None, description="Why it was decided so."
    )


class ToolApprovalStatus(ApiModel):
    """What became of it; written by the operator."""

    state: ApprovalState | None = Field(
        default=None, description="Granted: given to one Pod, to be used once. Empty: nobody has decided."
    )
    request: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="The waiting call that the decision was given to; another one after a restart."
    )
