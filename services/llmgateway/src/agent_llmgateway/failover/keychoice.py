"""Which key of a provider a request is sent with.

A key is left out when it was refused for this request, and while its breaker is open. Keys take turns, except for
what only one of them can read: that stays on the key that made it, as long as that key is there.
"""

from dataclasses import replace

from agent_llmgateway.failover.affinity import by_cache_key
from agent_llmgateway.failover.breaker import BreakerKey
from agent_llmgateway.failover.dependencies import FailoverDependencies, RoutePlan
from agent_llmgateway.failover.requeststate import RequestMemory
from agent_llmgateway.providererrors.causes import Cause
from agent_llmgateway.providererrors.classify import Failure, network_failure
from agent_llmgateway.upstream.keys import Key
from agent_llmgateway.wire.storedstate import cache_key_in, states_in


class KeyChoice:
    """The choice for one request, whose body is `body`."""

    def __init__(self, dependencies: FailoverDependencies, memory: RequestMemory, body: bytes) -> None:
        self._dependencies = dependencies
        self._memory = memory
        self._body = body
        self._states: tuple[bytes, ...] | None = None

    def choose(self, plan: RoutePlan, *, is_last: bool) -> Key | Failure | None:
        """A key whose breaker lets it through; on the last route any that is not dead.

        Else why the route is passed over, or None when that needs no saying.
        """
        board, name = self._dependencies.board, plan.route.provider
        living = self._living(plan, plan.provider.keys.in_turn())
        for key in living:
            if board.allow(breaker_key(plan, key)):
                return key
        if not living:
            return None if plan.provider.keys.keys else Failure(Cause.KEY, 401, "no key of this provider is mounted")
        if is_last:
            return min(living, key=lambda key: board.remaining_s(breaker_key(plan, key)))
        if self._memory.was_tried(name):
            return None
        reason = board.reason(breaker_key(plan, living[0])) or network_failure("its breaker is open")
        return replace(reason, cause=Cause.SKIPPED, retry_after_s=None)

    def has_other(self, plan: RoutePlan, key: Key, cause: Cause) -> bool:
        """Whether the same route may be tried at once with another key: after a 429 only one that is well."""
        living = self._living(plan, plan.provider.keys.keys)
        if cause in (Cause.KEY, Cause.STATE):
            return bool(living)
        board = self._dependencies.board
        return any(each.mark != key.mark and board.state(breaker_key(plan, each)) == "closed" for each in living)

    def note_answer(self, plan: RoutePlan, mark: str, answer: bytes) -> None:
        """The key with `mark` could read what the request refers to, and has made what is in `answer`."""
        if len(plan.provider.keys.keys) > 1:
            self._dependencies.affinity.note(plan.route.provider, (*self._own_states(), *states_in(answer)), mark)

    def _living(self, plan: RoutePlan, keys: tuple[Key, ...]) -> tuple[Key, ...]:
        name = plan.route.provider
        living = tuple(key for key in keys if not self._memory.is_dead(name, key)) if self._memory.has_dead else keys
        if len(keys) < 2:
            return living
        mark = self._dependencies.affinity.find(name, self._own_states())
        bound = tuple(key for key in living if key.mark == mark)
        if bound:
            return bound
        cache_key = cache_key_in(self._body)
        return by_cache_key(living, cache_key) if cache_key else living

    def _own_states(self) -> tuple[bytes, ...]:
        if self._states is None:
            self._states = states_in(self._body)
        return self._states


def breaker_key(plan: RoutePlan, key: Key) -> BreakerKey:
    """The breaker of `plan` with `key`."""
    return BreakerKey(plan.route.provider, plan.route.model, key.name, key.mark)
