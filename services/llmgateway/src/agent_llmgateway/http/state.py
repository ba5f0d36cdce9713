"""What all requests share, in one place, so that a request's own code has only its own state."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent_base.redaction import Redactor
from agent_kit.calls import CallRing
from agent_kit.telemetry import Telemetry
from agent_llmgateway.budget.budget import Budget
from agent_llmgateway.budget.meter import Meter
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.errors import GatewayError
from agent_llmgateway.failover.breaker import BreakerBoard
from agent_llmgateway.failover.dependencies import FailoverDependencies
from agent_llmgateway.http.callaudit import CallAudit
from agent_llmgateway.http.callrecord import CallRecord
from agent_llmgateway.http.rehearsal import Rehearsal
from agent_llmgateway.metrics.prometheus import Metrics
from agent_llmgateway.metrics.providerstats import ProviderStats
from agent_llmgateway.upstream.heldmemory import HeldMemory
from agent_llmgateway.wire.itemstore import ItemStore


@dataclass(slots=True)
class GatewayState:
    """The process's parts. `provider_set` is exchanged when the configuration changes."""

    board: BreakerBoard
    failover: FailoverDependencies
    budget: Budget
    metrics: Metrics
    provider_stats: ProviderStats
    telemetry: Telemetry
    redactor: Redactor
    clock: Callable[[], float]
    calls: CallRing[CallRecord]
    audit: CallAudit
    run_parent: Mapping[str, str] = field(default_factory=dict)
    """W3C headers of the agent's run, for requests without any."""
    meter: Meter = field(default_factory=Meter)
    memory: HeldMemory = field(default_factory=HeldMemory)
    items: ItemStore = field(default_factory=ItemStore)
    rehearsal: Rehearsal = field(init=False)
    provider_set: ProviderSet | None = None
    in_flight: int = 0
    _idle: asyncio.Event | None = None

    def __post_init__(self) -> None:
        self.rehearsal = Rehearsal(self.metrics, self.provider_stats, self.clock)

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
    def present(self) -> ProviderSet:
        """The provider_set of now. The server does not listen before there is one."""
        if self.provider_set is None:
            raise GatewayError("no configuration is in use")
        return self.provider_set

    def limit_bytes(self) -> int:
        return self.provider_set.config.limits.body_bytes if self.provider_set else 1 << 20
