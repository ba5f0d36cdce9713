"""What all requests share, in one place, so that a request's own code has only its own state."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from agent_base.redaction import Redactor
from agent_kit.telemetry import Telemetry
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.config.roster import Roster
from agent_llmgateway.errors import GatewayError
from agent_llmgateway.failover.breaker import BreakerBoard
from agent_llmgateway.failover.plan import Tools
from agent_llmgateway.http.cache import AnswerCache
from agent_llmgateway.metrics.prometheus import Metrics
from agent_llmgateway.metrics.tally import Tally


class WholeAnswer(msgspec.Struct):
    """An answer that can be given twice."""

    body: bytes
    headers: dict[str, str]
    attempts: int
    upstream_s: float


@dataclass(slots=True)
class Core:
    """The process's parts. `roster` is exchanged when the configuration changes."""

    board: BreakerBoard
    tools: Tools
    budget: Budget
    cache: AnswerCache[WholeAnswer]
    metrics: Metrics
    tally: Tally
    telemetry: Telemetry
    redactor: Redactor
    clock: Callable[[], float]
    roster: Roster | None = None
    in_flight: int = 0
    _idle: asyncio.Event | None = None

    def enter(self) -> None:
        """A request has come."""
        self.in_flight += 1

    def leave(self) -> None:
        """A request has been answered, or given up."""
        self.in_flight -= 1
        if self._idle is not None and not self.in_flight:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Return when nothing is being answered; for the end, when nothing new is let in."""
        if self.in_flight:
            self._idle = asyncio.Event()
            await self._idle.wait()

    @property
    def present(self) -> Roster:
        """The roster of now. The server does not listen before there is one."""
        if self.roster is None:
            raise GatewayError("no configuration is in use")
        return self.roster

    def limit_bytes(self) -> int:
        """Largest request."""
        return self.roster.config.limits.body_bytes if self.roster else 1 << 20
