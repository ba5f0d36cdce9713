"""`status`: what is, as the operator has seen it. Reasons are constants: `agent_api.agenttype.reasons`."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.observed.reported import MOST_TOOLS, LlmStatus, MemoryStatus, ToolStatus
from agent_api.agenttype.rule import ApiModel, ListMap

Phase = Literal["Pending", "Running", "Failed", "Succeeded"]
Message = Annotated[str, StringConstraints(max_length=32768)]


class Condition(ApiModel):
    """A Kubernetes condition; lastTransitionTime moves only when status does."""

    type: Annotated[str, StringConstraints(max_length=316)] = Field(description="One of the condition types below.")
    status: Literal["True", "False", "Unknown"] = Field(description="Unknown: it cannot be said yet.")
    observed_generation: int = Field(default=0, description="Generation of the spec that the condition is about.")
    last_transition_time: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="RFC 3339; moves only when status does."
    )
    reason: Annotated[str, StringConstraints(max_length=1024)] = Field(
        description="One word for programs: a constant, listed below."
    )
    message: Message = Field(default="", description="One or more sentences for people.")


class LastRun(ApiModel):
    """How the newest finished Job ended; kept when the Job itself is cleaned away."""

    job: Annotated[str, StringConstraints(max_length=253)] = Field(description="Name of the Job.")
    result: Literal["Succeeded", "Failed"] = Field(description="How it ended.")
    finished_at: Annotated[str, StringConstraints(max_length=64)] = Field(description="RFC 3339, UTC.")


class Status(ApiModel):
    """The observed state of an AgentType."""

    phase: Phase | None = Field(
        default=None, description="The whole in one word. Never Running before the agent container is ready."
    )
    message: Message | None = Field(default=None, description="Message of the Ready condition.")
    reason: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="Reason of the Ready condition, for the column of that name."
    )
    observed_generation: int | None = Field(
        default=None, description="Generation of the spec that this status is about."
    )
    replicas: int | None = Field(default=None, description="Pods there are; read by the scale subresource.")
    ready_replicas: int | None = Field(default=None, description="Pods whose containers are all ready.")
    selector: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="Label selector of the Pods; read by the scale subresource."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=32), ListMap("type")] = Field(
        default=(), description="One of each type."
    )
    last_run: LastRun | None = Field(default=None, description="Job and CronJob: how the last run ended.")
    started_job: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None, description="Job: the one that was let start last; it is never started a second time."
    )
    memory_secret: Literal["Making", "Made", "Taken"] | None = Field(
        default=None,
        description="Whether the operator has made the Secret of the agent's own memory. One that it did not make is "
        "Taken, and never used.",
    )
    tool_status: Annotated[dict[str, ToolStatus], Field(max_length=MOST_TOOLS)] | None = Field(
        default=None, description="Per tool: state, version, source, error."
    )
    memory_status: MemoryStatus | None = Field(default=None, description="State of the agent's memory.")
    llm_status: LlmStatus | None = Field(default=None, description="Per provider: state and last error.")
    installation: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        default=None, description="Namespace and lease of the operator that works on this agent; others leave it alone."
    )
    contender: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        default=None, description="Another installation that asks whether that one is still there."
    )
