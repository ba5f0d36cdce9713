"""What happened at each provider since the start of the process, for the report."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from agent_api.gatewayreport import BudgetState, GatewayReport, ProviderState, RouteState
from agent_api.memoryreport import MemoryReport
from agent_llmgateway.config.providerset import ProviderSet
from agent_llmgateway.failover.breaker import BreakerBoard, BreakerKey
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.wire.usage import Usage

LONGEST_ERROR = 500
MOST_ROUTES: Final = 100
"""Routes of one provider in the report: an agent can ask for any model, and the operator reads a bounded report."""
_NOT_TRIED = frozenset({Cause.SKIPPED, Cause.NOT_CARRIED})


@dataclass(slots=True)
class ProviderCounts:
    """Counts of one provider."""

    requests: int = 0
    failures: int = 0
    failovers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    last_error: str = ""
    last_error_at: str = ""
    rehearsed: int = 0
    not_carried: int = 0
    not_carried_why: str = ""


class ProviderStats:
    """Counts of all of them; survives a change of the configuration."""

    def __init__(self, board: BreakerBoard, redact: Callable[[str], str]) -> None:
        self._board = board
        self._redact = redact
        self._providers: dict[str, ProviderCounts] = {}
        self.answering = ""

    def of(self, provider: str) -> ProviderCounts:
        counts = self._providers.get(provider)
        if counts is None:
            counts = self._providers[provider] = ProviderCounts()
        return counts

    def note_attempt(self, record: AttemptRecord, failure: Failure | None) -> None:
        counts = self.of(record.provider)
        if failure is None:
            self.answering = record.provider
            counts.requests += 1
        elif failure.cause not in _NOT_TRIED:
            counts.requests += 1
            counts.failures += 1
            self.note_error(record.provider, failure)

    def note_error(self, provider: str, failure: Failure) -> None:
        """What a provider said last."""
        counts = self.of(provider)
        counts.last_error = self._redact(f"{failure.cause}: {failure.message}")[:LONGEST_ERROR]
        counts.last_error_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

    def note_usage(self, provider: str, usage: Usage) -> None:
        """Tokens of one answer."""
        counts = self.of(provider)
        counts.input_tokens += usage.input_tokens
        counts.output_tokens += usage.output_tokens

    def note_rehearsal(self, provider: str, refusal: str) -> None:
        """A request that another provider has answered was prepared for this one; `refusal` says why not, if not."""
        counts = self.of(provider)
        counts.rehearsed += 1
        if refusal:
            counts.not_carried += 1
            counts.not_carried_why = self._redact(refusal)[:LONGEST_ERROR]

    def report(
        self,
        provider_set: ProviderSet,
        *,
        ready: bool,
        config_error: str,
        budget: BudgetState,
        memory: MemoryReport | None = None,
    ) -> GatewayReport:
        return GatewayReport(
            agent=provider_set.config.agent,
            ready=ready,
            config_hash=provider_set.digest,
            config_error=self._redact(config_error),
            providers=tuple(self._provider_state(provider_set, name) for name in provider_set.providers),
            budget=budget,
            memory=memory,
        )

    def _provider_state(self, provider_set: ProviderSet, name: str) -> ProviderState:
        provider, counts = provider_set.providers[name], self.of(name)
        return ProviderState(
            name=name,
            type=provider.config.type,
            keys=provider.keys.mounted,
            usable=bool(provider.keys.keys),
            answering=name == self.answering,
            routes=self._route_states(name, {(key.name, key.mark) for key in provider.keys.keys}),
            requests=counts.requests,
            failures=counts.failures,
            failovers=counts.failovers,
            input_tokens=counts.input_tokens,
            output_tokens=counts.output_tokens,
            last_error=counts.last_error,
            last_error_at=counts.last_error_at,
            rehearsed=counts.rehearsed,
            not_carried=counts.not_carried,
            not_carried_why=counts.not_carried_why,
        )

    def _routes_of(self, provider: str, held: Collection[tuple[str, str]]) -> list[BreakerKey]:
        """Of the keys that are `held` now; those that are not closed first, and no more than a report may have."""
        found = [key for key in self._board.known() if key.provider == provider and (key.key, key.mark) in held]
        found.sort(key=lambda key: self._board.state(key) == "closed")
        return found[:MOST_ROUTES]

    def _route_states(self, provider: str, held: Collection[tuple[str, str]]) -> tuple[RouteState, ...]:
        return tuple(
            RouteState(
                model=key.model,
                key=key.key,
                breaker=self._board.state(key),
                cooldown_seconds=round(self._board.remaining_s(key), 3),
                consecutive_failures=self._board.failures(key),
            )
            for key in self._routes_of(provider, held)
        )
