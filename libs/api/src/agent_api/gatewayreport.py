"""What llmgateway says at GET /report on its ops port; the operator shows it as `llmStatus`."""

from typing import Final, Literal

from pydantic import Field

from agent_api.memoryreport import MemoryReport
from agent_api.model import Report

KEY_REFUSED: Final = "key_refused"
"""How the last error of a provider begins that refused a key."""


class RouteState(Report):
    """Breaker of one (provider, model, key); the key is named by its file, never by its value."""

    model: str
    key: str = ""
    breaker: Literal["closed", "open", "half-open"] = "closed"
    cooldown_seconds: float = 0
    consecutive_failures: int = 0


class ProviderState(Report):
    """One provider since the start of the process."""

    name: str
    type: str
    keys: int = Field(default=0, description="Keys that are mounted and readable.")
    usable: bool = Field(default=False, description="True when it has a key, or needs none.")
    answering: bool = Field(default=False, description="True for the provider that gave the last answer.")
    routes: tuple[RouteState, ...] = ()
    requests: int = 0
    failures: int = 0
    failovers: int = Field(default=0, description="Requests that went on to another route.")
    input_tokens: int = 0
    output_tokens: int = 0
    last_error: str = Field(default="", description="CAUSE: its words.")
    last_error_at: str = Field(default="", description="RFC 3339, UTC.")
    rehearsed: int = Field(
        default=0, description="Sampled requests that another provider answered, prepared for this one but not sent."
    )
    not_carried: int = Field(default=0, description="Those of them that this provider could not have been sent.")
    not_carried_why: str = Field(default="", description="Why, of the last one.")


class LimitState(Report):
    """One limit, in tokens or US dollars."""

    name: str = Field(description="As in the AgentType: tokensPerHour, usdPerDay and so on.")
    limit: float
    granted: float = Field(description="What this gateway may have spent by the end of the window.")
    spent: float = Field(description="By this gateway.")
    resets_at: str = Field(default="", description="RFC 3339, UTC; empty for a limit per run.")


class BudgetState(Report):
    """What this gateway has spent in the current windows; the first four are those of its hour and its day."""

    tokens_this_hour: int = 0
    tokens_per_hour: int | None = None
    usd_today: float = 0
    usd_per_day: float | None = None
    limits: tuple[LimitState, ...] = ()


class GatewayReport(Report):
    """The whole gateway."""

    schema_version: Literal[1] = 1
    agent: str
    ready: bool
    config_hash: str = Field(default="", description="sha256 of the gateway.json in use.")
    config_error: str = Field(default="", description="Why a newer gateway.json was refused.")
    providers: tuple[ProviderState, ...] = ()
    budget: BudgetState = BudgetState()
    memory: MemoryReport | None = Field(default=None, description="None without a memory.")
