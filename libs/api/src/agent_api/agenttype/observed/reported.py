"""What `status` repeats of the sidecars' reports: of tools, the memory, and models with their budget.

The API server drops what is not here, so the operator writes these fields and no others. None has a default: the
server would add it to what the operator wrote.
"""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from agent_api.agenttype.rule import ApiModel
from agent_api.agenttype.scalars import KubernetesObject
from agent_api.model import LARGEST_INTEGER

MOST_TOOLS: Final = 64

Word = Annotated[str, StringConstraints(max_length=253)]
Text = Annotated[str, StringConstraints(max_length=4096)]
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]


class ToolStatus(ApiModel):
    """One tool, or one of a server's tools whose definition has changed."""

    required: bool | None = Field(default=None, description="Whether the agent is not ready without it.")
    state: Literal["pending", "installing", "ready", "failed", "blocked"] = Field(description="How it stands.")
    kind: Literal["command", "mcp", "builtin"] | None = Field(default=None, description="What it is.")
    version: Text | None = Field(default=None, description="As it was installed.")
    source: Text | None = Field(default=None, description="Where it was found: installed, path, catalogue, custom.")
    digest: Text | None = Field(default=None, description="sha256 of what was installed.")
    definition_hash: Text | None = Field(default=None, description="Of a blocked tool's new definition.")
    error: Text | None = Field(default=None, description="Why it is not ready.")
    progress: Text | None = Field(default=None, description="What is being done about it while it is not ready.")
    since: Text | None = Field(default=None, description="Last change of the state: RFC 3339, UTC.")
    last_error: Text | None = Field(default=None, description="Cause of the last failure, also after it is over.")
    not_served: Text | None = Field(default=None, description="Tools of a server that are not served, and why.")
    diff: Text | None = Field(default=None, description="What has changed in a blocked tool's definition.")


class MemoryStatus(ApiModel):
    """The agent's memory. Figures are absent where the server does not tell them."""

    type: Literal["redis", "inmemory", "external"] = Field(description="external: a server at a URL.")
    reachable: bool | None = Field(default=None, description="Whether it answers.")
    claim: Word | None = Field(default=None, description="Size of its claim.")
    error: Text | None = Field(default=None, description="Why a sidecar cannot use it.")
    used_bytes: Count | None = Field(default=None, description="In use.")
    max_bytes: Count | None = Field(default=None, description="Where eviction or refusal begins; 0 is no bound.")
    keys: Count | None = Field(default=None, description="In the database of the URL.")
    evicted_keys: Count | None = Field(default=None, description="Since the server's start.")
    eviction_policy: Word | None = Field(default=None, description="As Redis calls it.")


class ProviderStatus(ApiModel):
    """One provider, since its gateway started."""

    breaker: Literal["closed", "open", "half-open"] | None = Field(
        default=None, description="open: not tried for now. The worst of its models and keys."
    )
    keys: Count | None = Field(default=None, description="Keys that are mounted and can be read.")
    requests: Count | None = Field(default=None, description="Sent to it.")
    failures: Count | None = Field(default=None, description="Of those.")
    input_tokens: Count | None = Field(default=None, description="Of its answers.")
    output_tokens: Count | None = Field(default=None, description="Of its answers.")
    last_error: Text | None = Field(default=None, description="The last failure's cause.")
    last_error_at: Text | None = Field(default=None, description="RFC 3339, UTC.")


class BudgetLimitStatus(ApiModel):
    """One limit of `llm.budget`, in tokens or US dollars."""

    name: Word = Field(description="As in `llm.budget`.")
    run: Word | None = Field(default=None, description="Uid of the Job, for a limit per run.")
    limit: float = Field(description="What may be spent in the window.")
    spent: float = Field(description="What gateways have said that they spent.")
    granted: float = Field(description="What counts as spent: what gateways may spend without asking is in it.")
    resets_at: Word | None = Field(default=None, description="End of the window: RFC 3339, UTC.")


class BudgetStatus(ApiModel):
    """What was spent of `llm.budget`."""

    summary: Text | None = Field(default=None, description="In one sentence.")
    limits: Annotated[tuple[BudgetLimitStatus, ...], Field(max_length=256)] = Field(
        default=(), description="Each limit."
    )
    ledger: KubernetesObject | None = Field(
        default=None, description="The operator's own books. Not for others: its shape may change."
    )


class LlmStatus(ApiModel):
    """The providers, and the budget."""

    answering: Word | None = Field(default=None, description="The provider that gave the last answer.")
    providers: Annotated[dict[str, ProviderStatus], Field(max_length=64)] = Field(
        default_factory=dict, description="By name."
    )
    budget: BudgetStatus | None = Field(default=None, description="Only with `llm.budget`.")
