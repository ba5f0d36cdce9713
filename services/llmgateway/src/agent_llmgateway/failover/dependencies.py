"""What failover works with: the routes of a request, the parts of the process, and the answer that comes of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from agent_api.gatewayconfig import GatewayLimits, Timeouts
from agent_llmgateway.failover.affinity import KeyAffinity
from agent_llmgateway.failover.attempts import Answer
from agent_llmgateway.failover.breaker import BreakerBoard, BreakerKey
from agent_llmgateway.failover.deadlines import AttemptDeadlines
from agent_llmgateway.failover.retries import RetryBudget
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.providererrors.classify import Failure
from agent_llmgateway.providererrors.lessons import Options
from agent_llmgateway.upstream.keys import Key, KeyPool
from agent_llmgateway.wire.call import Call, WireRequest


class RouteProvider(Protocol):
    """A provider, as failover needs it."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def keys(self) -> KeyPool: ...

    def streams_whole(self, model: str) -> bool:
        """Whether whole answers of `model` may be asked for as streams."""
        ...

    def learn(self, model: str, options: Options) -> None:
        """Use `options` for `model` from now on."""
        ...

    def key_headers(self, key: Key) -> dict[str, str]:
        """Headers that show `key`."""
        ...


class RoutePlan(msgspec.Struct, frozen=True):
    """A route, with what is known of it before a request comes."""

    route: Route
    provider: RouteProvider
    timeouts: Timeouts


class RoutedAnswer(msgspec.Struct):
    """An answer, who gave it, and what it took. `breaker` is told later how the stream ended."""

    answer: Answer
    plan: RoutePlan
    wire: WireRequest
    breaker: BreakerKey
    attempts: list[AttemptRecord]
    upstream_s: float


TryRoute = Callable[[Call, WireRequest, dict[str, str], AttemptDeadlines, GatewayLimits], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class FailoverDependencies:
    """One for the process."""

    board: BreakerBoard
    retry_budget: RetryBudget
    try_route: TryRoute
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    affinity: KeyAffinity = field(default_factory=KeyAffinity)


Prepare = Callable[[RoutePlan, Options], WireRequest]
"""Makes what is sent on a route for this request, with options that a refusal taught. Raises NotCarriedError."""
NoteAttempt = Callable[[AttemptRecord, Failure | None], None]
"""Is told of each try; without a failure it was answered."""
