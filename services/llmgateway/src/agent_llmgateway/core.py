"""What all requests share, in one place, so that a request's own code has only its own state."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from agent_kit.redaction import Redactor
from agent_kit.telemetry import Telemetry
from agent_llmgateway.breaker import BreakerBoard
from agent_llmgateway.budget import Budget
from agent_llmgateway.cache import AnswerCache
from agent_llmgateway.errors import GatewayError
from agent_llmgateway.metrics import Metrics
from agent_llmgateway.retries import RetryAllowance
from agent_llmgateway.roster import Roster
from agent_llmgateway.routeplan import TryRoute
from agent_llmgateway.tally import Tally


@dataclass(slots=True)
class WholeAnswer:
    """An answer that can be given twice."""

    body: bytes
    headers: dict[str, str]
    attempts: int
    upstream_s: float


@dataclass(slots=True)
class Core:
    """The process's parts. `roster` is exchanged when the configuration changes."""

    board: BreakerBoard
    allowance: RetryAllowance
    try_route: TryRoute
    budget: Budget
    cache: AnswerCache[WholeAnswer]
    metrics: Metrics
    tally: Tally
    telemetry: Telemetry
    redactor: Redactor
    clock: Callable[[], float]
    roster: Roster | None = None
    in_flight: int = 0
    idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.idle.set()

    def enter(self) -> None:
        """A request has come."""
        self.in_flight += 1
        self.idle.clear()

    def leave(self) -> None:
        """A request has been answered, or given up."""
        self.in_flight -= 1
        if not self.in_flight:
            self.idle.set()

    @property
    def present(self) -> Roster:
        """The roster of now. The server does not listen before there is one."""
        if self.roster is None:
            raise GatewayError("no configuration is in use")
        return self.roster

    def limit_bytes(self) -> int:
        """Largest request."""
        return self.roster.config.limits.body_bytes if self.roster else 1 << 20
