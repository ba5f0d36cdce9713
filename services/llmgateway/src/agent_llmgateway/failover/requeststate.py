"""The state of one request on its way through its routes: tries, dead keys, and the error when none answers."""

from dataclasses import dataclass, field

from agent_api.gatewayconfig import GatewayConfig
from agent_llmgateway.errors import AllRoutesError, GatewayError, NotCarriedError, ReturnedError
from agent_llmgateway.failover.routing import Route
from agent_llmgateway.providererrors.attempt import AttemptRecord
from agent_llmgateway.providererrors.causes import RETURNED_AT_LAST, Cause
from agent_llmgateway.providererrors.classify import Failure, silent_failure
from agent_llmgateway.upstream.keys import Key


@dataclass(slots=True)
class RequestMemory:
    """Grows with each try. `ends_at` is the deadline of the whole request."""

    config: GatewayConfig
    ends_at: float
    records: list[AttemptRecord] = field(default_factory=list)
    failures: list[tuple[Route, Failure]] = field(default_factory=list)
    upstream_s: float = 0.0
    _tries: dict[str, int] = field(default_factory=dict)
    _dead: set[tuple[str, str]] = field(default_factory=set)
    _refreshed: set[str] = field(default_factory=set)

    def note_try(self, provider: str) -> None:
        """A request is about to be sent."""
        self._tries[provider] = self._tries.get(provider, 0) + 1

    def was_tried(self, provider: str) -> bool:
        """Whether anything was sent to `provider`."""
        return provider in self._tries

    def note_failure(self, route: Route, failure: Failure, key: str, took_s: float) -> AttemptRecord:
        """A try failed, or a route was passed over."""
        record = AttemptRecord(
            route.provider, route.model, failure.cause, failure.status, failure.message, key, took_s
        )  # fmt: skip
        self.records.append(record)
        self.failures.append((route, failure))
        return record

    def note_answer(self, route: Route, key: str, took_s: float) -> AttemptRecord:
        """A try has an answer."""
        record = AttemptRecord(route.provider, route.model, "answered", 200, "", key, took_s)
        self.records.append(record)
        return record

    def note_dead(self, provider: str, key: Key) -> None:
        """`key` is of no more use for this request."""
        self._dead.add((provider, key.mark))

    def note_refused(self, provider: str, key: Key) -> bool:
        """`key` itself was refused; whether the mounted keys are to be read again, which is done once."""
        self.note_dead(provider, key)
        is_first = provider not in self._refreshed
        self._refreshed.add(provider)
        return is_first

    @property
    def has_dead(self) -> bool:
        """Whether any key was refused for this request."""
        return bool(self._dead)

    def is_dead(self, provider: str, key: Key) -> bool:
        """Whether `key` was refused for this request."""
        return (provider, key.mark) in self._dead

    def retries(self, route: Route, cause: Cause) -> int:
        """Failures of `route` with `cause` before the last one."""
        return sum(each == route and failure.cause is cause for each, failure in self.failures) - 1

    def failures_of(self, route: Route) -> int:
        """How often `route` has failed."""
        return sum(each == route for each, _ in self.failures)

    def may_try(self, provider: str, now: float) -> bool:
        """Whether one more request may be sent to `provider`."""
        return self._tries.get(provider, 0) < self.config.limits.tries_per_provider and not self.is_spent(now)

    def is_spent(self, now: float) -> bool:
        """Whether the request has had all its tries or all its time."""
        if not self._tries:
            return False
        return sum(self._tries.values()) >= self.config.limits.tries_per_request or now >= self.ends_at

    def is_too_small(self, route: Route) -> bool:
        """Whether the request is known to be too long for `route`, because a route no smaller refused it."""
        refused = [each for each, failure in self.failures if failure.cause is Cause.CONTEXT]
        if not refused:
            return False
        size = self.config.context_of(*route)
        others = [self.config.context_of(*each) for each in refused]
        return route in refused or any(size is not None and other is not None and size <= other for other in others)

    def last_error(self, wait_s: float | None) -> GatewayError:
        """What the client is told when no route has answered. `wait_s` is the shortest wait of a breaker."""
        for route, failure in self.failures:
            if failure.cause is Cause.CONTEXT:
                return ReturnedError(failure, route.provider, self.records)
        tried = [(route, each) for route, each in self.failures if each.cause is not Cause.NOT_CARRIED]
        if not tried and self.failures:
            refused = self.failures[0][1]
            return NotCarriedError(refused.message, param=refused.param)
        if tried and tried[0][1].cause in RETURNED_AT_LAST:
            return ReturnedError(tried[0][1], tried[0][0].provider, self.records)
        first = tried[0][1] if tried else silent_failure("the deadline passed before a route was tried")
        waits = [each.retry_after_s for _, each in self.failures if each.retry_after_s is not None]
        waits += [] if wait_s is None else [wait_s]
        return AllRoutesError(first, self.records, min(waits, default=None))
