"""What a request's way through its routes is made of: the routes, the tools, and the answer that was won."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from agent_api.gatewayconfig import GatewayLimits, Timeouts
from agent_llmgateway.failover.attempts import Answer, Window
from agent_llmgateway.failover.breaker import BreakerBoard, BreakerKey
from agent_llmgateway.failover.retries import RetryAllowance
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.failures.attempt import AttemptRecord
from agent_llmgateway.failures.failure import Failure
from agent_llmgateway.upstream.keys import Key, KeyPool
from agent_llmgateway.wire.call import Call, WireRequest


class RouteProvider(Protocol):
    """A provider, as failover needs it."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def keys(self) -> KeyPool:
        """Its keys."""
        ...

    def key_headers(self, key: Key) -> dict[str, str]:
        """Headers that show `key`."""
        ...


class RoutePlan(msgspec.Struct, frozen=True):
    """A route, with what is known of it before a request comes."""

    route: Route
    provider: RouteProvider
    timeouts: Timeouts


class Won(msgspec.Struct):
    """An answer, who gave it, and what it took. `breaker` is told later how the stream ended."""

    answer: Answer
    plan: RoutePlan
    wire: WireRequest
    breaker: BreakerKey
    attempts: list[AttemptRecord]
    upstream_s: float


TryRoute = Callable[[Call, WireRequest, dict[str, str], Window, GatewayLimits], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run works with; one for the process."""

    board: BreakerBoard
    allowance: RetryAllowance
    try_route: TryRoute
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]


Prepare = Callable[[RoutePlan], WireRequest]
"""Makes what is sent on a route for this request. Raises NotCarriedError."""
NoteAttempt = Callable[[AttemptRecord, Failure | None], None]
"""Is told of each try; without a failure it was answered."""
