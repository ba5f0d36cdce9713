"""What a sidecar says at GET /calls on its ops port: the last calls of the agent, to models or to tools.

A call stands here when it has ended. Texts are redacted and cut by the sidecar, and the ring that it keeps is bounded:
whoever reads this learns how many calls were dropped before the first one that is left.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from agent_api.model import Report

MOST_CALLS: Final = 500
"""Calls that a sidecar keeps."""
LONGEST_TEXT_CHARS: Final = 300
"""Of a reason or an error."""
LONGEST_CONTENT_CHARS: Final = 8192
"""Of a prompt, an answer, arguments or a result; kept with `monitoring.content` alone."""
MOST_TRIES: Final = 32

Text = Annotated[str, Field(max_length=LONGEST_TEXT_CHARS)]
Name = Annotated[str, Field(max_length=256)]
Content = Annotated[str, Field(max_length=LONGEST_CONTENT_CHARS)]

ModelOutcome = Literal["answered", "failed", "broken", "refused", "cancelled"]
"""broken: the answer began and could not be ended. refused: no provider was asked. cancelled: the client went away."""
Decision = Literal["allowed", "denied", "asked", "blocked"]
"""What the rules said. asked: a person decided. blocked: the tool is not what was pinned, or is not ready."""


class TraceIds(Report):
    """W3C ids, in hex. Calls of one run share `trace` unless the client brought a trace of its own."""

    trace: str = Field(default="", pattern="^([0-9a-f]{32})?$")
    span: str = Field(default="", pattern="^([0-9a-f]{16})?$")
    parent: str = Field(default="", pattern="^([0-9a-f]{16})?$")


class Try(Report):
    """One try of one provider; `reason` is empty when it answered."""

    provider: Name
    model: Name
    outcome: Name = Field(description="answered, or the cause of the failure, such as rate_limit.")
    status: int = Field(default=0, description="HTTP status; 0 without one.")
    reason: Text = ""
    key: Name = Field(default="", description="File of the key, never its value.")
    duration_ms: float = Field(default=0, ge=0)


class Tokens(Report):
    """Tokens as the provider counted them. `cached` and `reasoning` are parts of `input` and `output`."""

    input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    cached: int = Field(default=0, ge=0)
    reasoning: int = Field(default=0, ge=0)


class RecordedCall(Report):
    """What both kinds have. `number` grows by one with each call of the process."""

    number: int = Field(ge=1)
    at: str = Field(description="Start of the call: RFC 3339 with milliseconds, UTC.")
    duration_ms: float = Field(ge=0)
    error: Text = ""
    trace: TraceIds = TraceIds()
    input: Content = Field(default="", description="With monitoring.content alone.")
    output: Content = Field(default="", description="With monitoring.content alone.")


class ModelCall(RecordedCall):
    """A request to a model, over all of its tries."""

    kind: Literal["model"] = "model"
    operation: Name = "chat"
    requested: Name = Field(description="The model's name as the agent asked for it: an alias, or a model.")
    provider: Name = Field(default="", description="The one that answered.")
    model: Name = Field(default="", description="The one that answered.")
    stream: bool = False
    tries: Annotated[tuple[Try, ...], Field(max_length=MOST_TRIES)] = ()
    tokens: Tokens | None = Field(default=None, description="None: the provider did not say.")
    usd: float | None = Field(default=None, ge=0, description="None: the model has no price.")
    first_token_ms: float | None = Field(default=None, ge=0, description="None for an answer that is no stream.")
    outcome: ModelOutcome
    status: int = Field(default=0, description="HTTP status that the agent got.")


class ToolCall(RecordedCall):
    """A call of a tool, by MCP or REST."""

    kind: Literal["tool"] = "tool"
    name: Name
    server: Name = Field(default="", description="The tool of the configuration that it belongs to.")
    via: Literal["mcp", "rest"] = "mcp"
    decision: Decision = "allowed"
    outcome: Name = Field(description="ok, error (the tool's own), cancelled, or the code of the refusal.")
    arguments_bytes: int = Field(default=0, ge=0)
    result_bytes: int = Field(default=0, ge=0)


Call = Annotated[ModelCall | ToolCall, Field(discriminator="kind")]


class CallsReport(Report):
    """The ring of one sidecar, oldest first; with `?after=N` those behind number N."""

    schema_version: Literal[1] = 1
    agent: str
    boot: str = Field(default="", description="Another one after a restart: numbers then begin anew.")
    dropped: int = Field(default=0, ge=0, description="Calls that were recorded and are gone.")
    calls: Annotated[tuple[Call, ...], Field(max_length=MOST_CALLS)] = ()
